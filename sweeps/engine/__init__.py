"""Engine: trials on Ray, here or on a cluster; the only package that imports Ray."""
