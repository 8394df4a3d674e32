from inspector_app.gui.views.sampled import sampled_sentence, sampled_words


def test_a_sample_states_its_error_in_words_of_several_lengths():
    words = sampled_words(2_048, 8_192)
    assert words == (
        "2,048 of 8,192, shares ±3%",
        "2,048 of 8.19 k, ±3%",
        "shares ±3%",
        "±3%",
    )
    assert [len(one) for one in words] == sorted((len(one) for one in words), reverse=True)
    assert sampled_words(512, 8_192)[-1] == "±6%"


def test_all_elements_are_exact():
    assert sampled_words(8_192, 8_192) == ("exact",)
    assert sampled_sentence(8_192, 8_192) == "exact: made of all 8,192 elements"


def test_a_tooltip_says_what_the_error_is_of():
    text = sampled_sentence(2_048, 8_192)
    assert "2,048 of 8,192 elements" in text
    assert "within ±3% of the true ones with 95% confidence" in text
    assert "minimum, maximum" in text
