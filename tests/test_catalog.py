from typing import Annotated, Literal

import pytest
from pydantic import Field

from scaling.part import Part
from scaling.settings import Trial, leaves
from scaling.settings import catalog as module
from scaling.settings.catalog import catalog, defaults


def test_every_setting_is_listed_once():
    assert [each.name for each in catalog()] == list(leaves())


def test_a_setting_has_type_default_bound_and_meaning():
    (width,) = catalog("network.width")
    assert width[1:5] == ("int", None, True, "1 to 4,096")
    assert width.meaning.startswith("W: ")
    (damping,) = catalog("network.damping")
    assert damping[1:5] == ("float", 0.0, False, "0 to 1")
    assert {each.name for each in catalog("sound.features")} >= {"sound.features.mels"}
    assert defaults()["objective.kind"] == "cross_entropy"
    assert "network.width" not in defaults()


def test_an_unknown_prefix_names_the_nearest():
    with pytest.raises(ValueError, match=r"netwrok: no such setting \(did you mean network\?"):
        catalog("netwrok")


class Round(Part):
    kind: Literal["round"]
    size: Annotated[int, Field(ge=1, description="its diameter")]


class Square(Part):
    kind: Literal["square"]
    size: Annotated[int, Field(ge=1, description="its side")]
    tilt: Annotated[float, Field(lt=90)] = 0.0


class Whole(Part):
    shape: Annotated[Round | Square, Field(discriminator="kind")]


def test_variants_of_a_union_are_merged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "Trial", Whole)
    kind, size, tilt = catalog()
    assert (kind.name, kind.type, kind.kinds) == ("shape.kind", "round | square", ())
    assert (size.meaning, size.kinds) == ("its diameter; its side", ("round", "square"))
    assert (tilt.bound, tilt.kinds) == ("below 90", ("square",))
    assert Trial is not Whole
