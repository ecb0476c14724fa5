"""Every activation by its word in config.json: transformers', the graph's and the compartment's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.activations import ACT2FN

from compiler.functions.fit_functions import BOUNDED, segment_fit
from compiler.netlist.kinds import KINDS
from las_neuro.architectures.family import ACTIVATIONS as WORDS
from las_neuro.graph import ACTIVATIONS, FUNCTIONS
from las_neuro.reference import interpret

X = torch.linspace(-12, 12, 20_001, dtype=torch.float64)


def test_every_function_can_be_drawn_run_and_compiled() -> None:
    assert set(WORDS.values()) == ACTIVATIONS
    assert set(interpret.FUNCTIONS) == FUNCTIONS
    assert set(BOUNDED) == ACTIVATIONS - {"relu"}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_a_config_means_what_transformers_means(word: str) -> None:
    if word not in ACT2FN:
        pytest.skip("a word of older transformers")
    torch.testing.assert_close(
        interpret.FUNCTIONS[WORDS[word]](X), ACT2FN[word](X), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("fn", BOUNDED)
def test_a_compartment_computes_what_the_graph_says(fn: str) -> None:
    unit = 2.0**-16
    fit = segment_fit(fn, unit, unit, 4.0)
    x = np.rint(X.numpy() / unit).astype(np.int64)
    payload = KINDS["segment"].step({}, {"x": x}, fit.table, 0).payload
    wanted = interpret.FUNCTIONS[fn](torch.from_numpy(x * unit)).numpy()
    assert np.abs(payload * unit - wanted).max() <= 4.0 * unit
