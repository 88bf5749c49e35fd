import pytest

from scaling.settings import leaves
from scaling.settings.catalog import catalog, defaults


def test_every_setting_is_listed_once():
    assert [each.name for each in catalog()] == list(leaves())


def test_a_setting_has_type_default_bound_and_meaning():
    (width,) = catalog("network.width")
    assert width[1:5] == ("int", None, True, "1 to 4,096")
    assert width.meaning.startswith("width W: ")
    (damping,) = catalog("network.damping")
    assert damping[1:5] == ("float", 0.0, False, "0 to 1")
    assert {each.name for each in catalog("sound.features")} >= {"sound.features.mels"}
    assert defaults()["objective.kind"] == "cross_entropy"
    assert "network.width" not in defaults()


def test_an_unknown_prefix_names_the_nearest():
    with pytest.raises(ValueError, match=r"netwrok: no such setting \(did you mean network\?"):
        catalog("netwrok")


def test_settings_of_kinds_say_whose_they_are():
    found = {each.name: each for each in catalog("network.")}
    assert found["network.kind"].type.startswith("cp_resnet | vib_cnn | ")
    assert found["network.depth"].kinds == ("cp_resnet",)
    assert found["network.damping"].whose == "of all but mfcc, passt"
    assert found["network.width"].kinds == ()


def test_every_setting_has_a_meaning():
    assert [each.name for each in catalog() if not each.meaning] == []
    assert catalog("network.kind")[0].meaning == "kind of network"
