"""Own parts: what a person adds without changing Overhear, by the name `module:Class`. No torch.

A network, an objective, an augmentation, a front end or a dataset may be named so. What is named is
looked for in the folders of OVERHEAR_PARTS, beside a study's file, in the working directory, and
among the entry points of installed packages. Its source is part of the trial's identity; code that
only a record names is never imported.
"""
