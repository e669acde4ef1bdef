"""One SMS: lengths by 3GPP TS 23.038, every code in both languages, with every parameter at its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import text

USUAL = {
    "amount": "3.20",
    "currency": "CNY",
    "hours": "6",
    "earliest": "07-21 14:00",
    "needed": "12.00",
    "tier": "2",
    "pay": "95598.cn",
    "call": "95598",
}
FULL = {name: "9" * limit for name, limit in text.LIMIT.items()}
WARNINGS = ("warning", "stop", "final", "over_tier", "over_tier_soon")


def test_the_alphabet_is_that_of_the_standard() -> None:
    assert len(text.BASIC) == len(set(text.BASIC)) == 127  # 128 places, one of them the escape
    assert len(text.EXTENDED) == 10
    assert text.septets("@£$") == 3
    assert text.septets("[€]") == 6
    assert text.septets("中") is None
    assert text.ucs2_units("中😀") == 3


def test_the_limits_and_one_past_them() -> None:
    assert text.fits("a" * 160)
    assert not text.fits("a" * 161)
    assert text.fits("€" * 80)
    assert not text.fits("€" * 80 + "a")
    assert text.fits("电" * 70)
    assert not text.fits("电" * 71)


@pytest.mark.parametrize("lang", text.LANGUAGES)
@pytest.mark.parametrize("code", sorted(text.TEXTS))
def test_every_text_fits_with_every_parameter_at_its_limit(code: str, lang: str) -> None:
    assert text.fits(text.TEXTS[code][lang][-1].format(**FULL))
    assert text.fits(text.render(code, FULL, lang))
    assert text.fits(text.render(code, {}, lang))
    assert (text.septets(text.render(code, FULL, lang)) is None) == (lang == "zh")


@pytest.mark.parametrize("lang", text.LANGUAGES)
@pytest.mark.parametrize("code", WARNINGS)
def test_a_warning_says_amount_hours_cut_payment_and_help(code: str, lang: str) -> None:
    for form in text.TEXTS[code][lang]:
        for name in ("amount", "hours", "earliest", "pay", "call"):
            assert "{" + name + "}" in form
    for params in (USUAL, FULL):
        told = text.render(code, params, lang)
        for name in ("amount", "hours", "earliest", "pay", "call"):
            assert params[name] in told


def test_golden_texts() -> None:
    assert text.render("final", USUAL, "en") == (
        "FINAL NOTICE: balance 3.20 CNY, 6 h left. Supply is cut from 07-21 14:00. Pay now: 95598.cn. Help: 95598"
    )
    assert text.render("warning", USUAL, "zh-CN") == (
        "余额3.20CNY,约可用6小时,最早07-21 14:00停电。缴费95598.cn 电话95598"
    )
    assert text.render("warning", USUAL, "fr") == text.render("warning", USUAL, "en")
    with pytest.raises(KeyError):
        text.render("no_such_code", USUAL, "en")


def test_a_number_is_never_clipped_into_another_number() -> None:
    told = text.render("warning", USUAL | {"amount": "-1234567890.12"}, "zh")
    assert "-1234567890" in told
    assert "-1234567890.12" not in told
    assert "123456" not in text.render("warning", USUAL | {"amount": "123456789012345"}, "en")


@given(st.dictionaries(st.sampled_from(text.PARAMS), st.text(max_size=60)), st.sampled_from(sorted(text.TEXTS)))
def test_whatever_the_parameters_one_sms(params: dict[str, str], code: str) -> None:
    for lang in text.LANGUAGES:
        assert text.fits(text.render(code, params, lang))
    assert text.septets(text.render(code, params, "en")) is not None


@pytest.mark.parametrize("code", WARNINGS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hours_that_nobody_knows_are_left_out_instead_of_told_as_a_dash(code: str, lang: str) -> None:
    known = {
        "amount": "5.00",
        "currency": "CNY",
        "earliest": "03-09 09:00",
        "pay": "95598.cn",
        "call": "95598",
        "tier": "2",
    }
    for unknown in ("-", ""):
        told = text.render(code, {**known, "hours": unknown}, lang)
        assert not any(word in told for word in (" - h", "-小时", "-时", " h left", "  ", ",.", ",,", " ."))
        assert "5.00" in told and "03-09 09:00" in told
    assert "17" in text.render(code, {**known, "hours": "17"}, lang)


def test_a_letter_beyond_the_basic_plane_counts_two_and_is_never_halved() -> None:
    far = "𐀀" * 20
    shown = text.render("stop", {"hours": "100", "earliest": far, "pay": far, "call": far}, "zh")
    assert text.fits(shown)
    assert shown.encode("utf-16-be").decode("utf-16-be") == shown
    assert shown.count("𐀀") == 5 + 9 + 6
