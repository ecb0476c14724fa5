"""Energy profiles: sourced, strict, and multiplied by hand-checked counts."""

from dataclasses import fields
from pathlib import Path

import pytest

from hwsim.accounts.tally import Tally
from hwsim.energy import bill, builtin, load
from hwsim.energy.counts import PARTS
from las_neuro.errors import ConfigError

GOOD = """
name = "mine"
title = "My chip"
basis = "measured"
scope = "everything"
[picojoule.synaptic_event]
value = 2.5
unit = "pJ"
source = "my bench, 2026-01"
note = "at 0.8 V"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_profiles_load_and_every_figure_names_its_source() -> None:
    assert {"loihi1_davies2018", "horowitz_45nm_int8", "las_paper_style"} <= set(builtin())
    for name in builtin():
        profile = load(name)
        assert profile.basis == "estimate", "nobody has measured this netlist on Loihi 2"
        for price in profile.picojoule.values():
            assert len(price.source) > 15


def test_every_price_belongs_to_a_count_that_a_run_gives() -> None:
    traffic = {"message", "hop_east_west", "hop_north_south", "chip_crossing"}
    counted = {field.name for field in fields(Tally)} | {"synaptic_event"} | traffic
    assert set(PARTS) <= counted


def test_loihi_coefficients_are_those_of_davies_2018_table_2() -> None:
    prices = load("loihi1_davies2018").picojoule
    assert {name: price.value for name, price in prices.items()} == {
        "synaptic_event": 23.6,
        "synapse_write": 120.0,
        "update_active": 81.0,
        "update_idle": 52.0,
        "message": 1.7,
        "hop_east_west": 3.0,
        "hop_north_south": 4.0,
    }


def test_a_bill_is_count_times_coefficient_and_names_what_was_not_counted() -> None:
    counts = {"synaptic_event": 10, "update_active": 2, "update_idle": 3, "hop_east_west": 4}
    result = bill(load("loihi1_davies2018"), counts, chip_seconds=1e-9)
    by_name = {line.what: line.joules for line in result.lines}
    assert by_name == pytest.approx(
        {
            "synaptic_event": 236e-12,
            "update_active": 162e-12,
            "update_idle": 156e-12,
            "hop_east_west": 12e-12,
            "static_power": 104e-12,  # 0.104 W for 1 ns
        }
    )
    assert result.joules == pytest.approx(670e-12)
    assert result.uncounted == ("synapse_write", "message", "hop_north_south")


def test_without_a_latency_static_power_is_named_as_missing_not_as_zero() -> None:
    result = bill(load("loihi1_davies2018"), {"synaptic_event": 1})
    assert "static_power" in result.uncounted
    assert [line.what for line in result.lines] == ["synaptic_event"]


def test_a_profile_of_ones_own_is_read_from_its_path(tmp_path: Path) -> None:
    profile = load(write(tmp_path, GOOD))
    assert profile.basis == "measured"
    assert bill(profile, {"synaptic_event": 4}).joules == pytest.approx(10e-12)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[picojoule.synaptic_event]", "[picojoule.synaptic_evnt]", "synaptic_evnt"),
        ('note = "at 0.8 V"', 'nite = "at 0.8 V"', "nite"),
        ('title = "My chip"', 'title = "My chip"\nowner = "me"', "owner"),
        ('source = "my bench, 2026-01"', "", "source"),
        ("value = 2.5", "value = -2.5", "greater than or equal to 0"),
        ("value = 2.5", "value = nan", "finite"),
        ('unit = "pJ"', 'unit = "nJ"', "pJ"),
        ('basis = "measured"', 'basis = "guess"', "estimate"),
        ('name = "mine"', 'name = "yours"', "yours"),
        ('name = "mine"', "name = ", "not TOML"),
        (
            "[picojoule.synaptic_event]",
            '[picojoule.event_add]\nvalue = 1\nunit = "pJ"\nsource = "bench"\n'
            "[picojoule.synaptic_event]",
            "the same events",
        ),
    ],
)
def test_a_faulty_profile_is_refused_by_name(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=complaint) as caught:
        load(write(tmp_path, GOOD.replace(old, new)))
    assert "mine.toml" in str(caught.value)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="loihi1_davies2018"):
        load("loihi3")
