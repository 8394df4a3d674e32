"""Keys of a file and of a model that mean the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.matching import match, unwrapped

KEYS = ["conv.weight", "conv.bias", "head.weight", "head.bias"]


def matched(names, keys=KEYS, prefix=None, same_shape=lambda name, key: True):
    return match(names, keys, prefix, same_shape)


def test_equal_keys_match_without_a_prefix():
    found = matched(KEYS)
    assert found.files == dict(zip(KEYS, KEYS, strict=True))
    assert found.prefix == ""
    assert found.notes == []


def test_prefixes_of_wrappers_are_found_in_any_combination():
    for prefix in (
        "module.",
        "model.",
        "net.",
        "state_dict.",
        "module.model.",
        "model.net.module.",
    ):
        found = matched([prefix + key for key in KEYS])
        assert found.prefix == prefix
        assert found.files == {key: prefix + key for key in KEYS}
        assert found.notes == [f"“{prefix}” is taken off the front of the file's keys"]


def test_parts_that_only_wrappers_make_are_passed_over_at_any_depth_in_both():
    theirs = ["_orig_mod.conv.weight", "_orig_mod._fsdp_wrapped_module.conv.bias"]
    ours = ["conv._orig_mod.weight", "conv._checkpoint_wrapped_module.bias"]
    found = matched(theirs, ours)
    assert found.files == dict(zip(ours, theirs, strict=True))
    assert found.prefix == ""
    assert "“_orig_mod.”, “_fsdp_wrapped_module.”, “_checkpoint_wrapped_module.”" in found.notes[0]


def test_a_prefix_with_a_wrapper_in_it_is_told_as_it_is_written_and_can_be_given_so():
    theirs = ["_orig_mod.module." + key for key in KEYS]
    found = matched(theirs)
    assert found.prefix == "_orig_mod.module."
    assert matched(theirs, prefix=found.prefix).files == found.files
    assert matched(theirs, prefix="module.").files == found.files
    mixed = ["_orig_mod.module.conv.weight", "module.conv.bias"]
    assert matched(mixed).prefix == "module."


def test_the_first_parts_of_a_task_head_are_found_where_shapes_agree():
    theirs = ["bert." + key for key in KEYS] + ["cls.weight"]
    assert matched(theirs).prefix == "bert."
    assert matched(theirs, same_shape=lambda name, key: False).prefix == ""


def test_a_prefix_that_the_model_has_is_put_before_the_keys():
    ours = ["bert." + key for key in KEYS] + ["classifier.weight"]
    found = matched([*KEYS, "classifier.weight"], ours)
    assert found.prefix == "+bert."
    assert found.files == {"bert." + key: key for key in KEYS} | {
        "classifier.weight": "classifier.weight"
    }
    assert found.notes == ["“bert.” is put before the file's keys"]
    assert matched(KEYS, ["module." + key for key in KEYS]).prefix == "+module."


def test_none_at_all_wins_unless_another_matches_more():
    both = [*KEYS, *("module." + key for key in KEYS)]
    assert matched(both).prefix == ""
    assert matched(["conv.weight", *("module." + key for key in KEYS)]).prefix == "module."


def test_of_two_that_match_as_many_shapes_then_known_words_decide_and_a_tie_is_told():
    theirs = [front + key for front in ("ema.", "student.") for key in KEYS]
    found = matched(theirs)
    assert found.prefix == "ema."
    assert "“student.” would match as many keys as “ema.”" in found.notes[1]
    found = matched(theirs, same_shape=lambda name, key: name.startswith("student"))
    assert found.prefix == "student."
    assert len(found.notes) == 1
    assert matched([*theirs, *("model." + key for key in KEYS)]).prefix == "model."


def test_a_given_prefix_is_taken_as_it_is():
    theirs = [front + key for front in ("ema.", "model.") for key in KEYS]
    assert matched(theirs, prefix="ema.").files == {key: "ema." + key for key in KEYS}
    assert matched(theirs, prefix="").files == {}
    assert matched(theirs, prefix="nothing.").files == {}


def test_what_has_the_prefix_wins_over_what_is_the_same_without_it():
    theirs = ["conv.weight", "module.conv.weight", "head.bias"]
    found = matched(theirs, prefix="module.")
    assert found.files == {"conv.weight": "module.conv.weight", "head.bias": "head.bias"}
    assert found.collided == {"conv.weight": "module.conv.weight"}


def test_keys_that_differ_by_a_wrapper_only_are_one_key_and_the_plain_one_counts():
    found = matched(["_orig_mod.conv.weight", "conv.weight"])
    assert found.files == {"conv.weight": "conv.weight"}
    assert found.collided == {"_orig_mod.conv.weight": "conv.weight"}
    ours = ["conv.weight", "_orig_mod.conv.weight"]
    assert matched(ours, ours).files == {key: key for key in ours}


def test_one_layer_is_not_taken_for_a_part_of_another_model():
    theirs = [f"layer{n}.{name}" for n in range(20) for name in ("weight", "bias")]
    found = matched(theirs, ["weight", "bias"], same_shape=lambda name, key: "17" in name)
    assert found.prefix == "layer17."
    assert matched(theirs, ["weight", "bias"], same_shape=lambda name, key: False).prefix == ""


def test_wrappers_are_whole_parts():
    assert unwrapped("_orig_mod.a._orig_mod.b") == "a.b"
    assert unwrapped("my_orig_mod.a") == "my_orig_mod.a"
    assert unwrapped("_orig_mod.") == ""


PARTS = st.sampled_from(["module", "model", "_orig_mod", "net", "a", "b", "weight", "0"])
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=4).map(".".join), unique=True, max_size=8)


@given(NAMES, NAMES)
def test_matches_are_one_to_one_and_are_found_again_by_their_prefix(names, keys):
    found = match(names, keys, None)
    assert set(found.files) <= set(keys)
    assert len(set(found.files.values())) == len(found.files)
    assert set(found.files.values()) <= set(names)
    again = match(names, keys, found.prefix)
    if any("“module.”" in note and "of a wrapper" in note for note in found.notes):
        again = match(names, keys, None)  # which no prefix says
    assert (again.files, again.prefix) == (found.files, found.prefix)
    assert len(found.files) >= len(match(names, keys, "").files)


def test_module_of_a_wrapper_inside_of_the_file_or_of_the_model_is_passed_over():
    ours = ["features.0.weight", "features.0.bias", "head.weight"]
    inner = ["features.module.0.weight", "features.module.0.bias", "head.weight"]
    found = matched(inner, ours)
    assert found.files == dict(zip(ours, inner, strict=True))
    assert found.notes == ["“module.” of a wrapper is passed over wherever it stands in a key"]
    assert matched(ours, inner).files == dict(zip(inner, ours, strict=True))


def test_wrappers_of_both_are_exchanged_for_each_other():
    held = ["model." + key for key in KEYS]
    for front in ("module.", "model.module.", "module._orig_mod.model.", "model.module._orig_mod."):
        theirs = [front + key for key in KEYS]
        assert matched(theirs, held).files == dict(zip(held, theirs, strict=True)), front


def test_module_as_a_name_of_the_model_itself_is_kept():
    ours = ["module.weight", "weight"]
    assert matched(ours, ours).files == {key: key for key in ours}


def test_a_prefix_that_means_no_key_lets_none_match_as_it_is():
    theirs = [*KEYS, "ema.other"]
    assert matched(theirs, prefix="ema.").files == {}
    found = matched([*KEYS[1:], "ema.conv.weight"], prefix="ema.")
    assert found.files["conv.weight"] == "ema.conv.weight"
    assert found.notes[-1].startswith("3 keys match without that prefix")
