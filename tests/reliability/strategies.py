"""What a hostile client may send: near enough to the real thing to get far, and anything JSON can hold."""

from hypothesis import strategies as st

from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, SCRIPT_OPTIONS, VERSION_MARKER, Choice, Number, rule_of

_TEXTS = st.sampled_from(
    ["", " ", "None", "../../etc/passwd", "/etc/passwd", "C:\\Windows\\x.pth", "4x\0.pth", "a" * 400, "nan", "-inf",
     "1e309", "true", "\ud800", "１２", "usdu:1", "{}", "%s%n", "'; DROP TABLE tiles", "\n", "span", "0x10", "1_0"]
)  # fmt: skip
_NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from([2**31, 2**63, 2**64, -(2**64), 10**4000, -0.0, 1e-320, 1e308, 0.5, 1.0000001]),
)
ATOMS = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS, st.text(max_size=20))
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_SIZES = {"custom_width": (1, 120), "custom_height": (1, 120),
          "padding": (0, 64), "seams_fix_padding": (0, 64), "tile_batch": (0, 5)}  # fmt: skip


def proper(name: str) -> st.SearchStrategy:  # noqa: PLR0911
    """Values an option takes, so small that the run is quick."""
    rule = rule_of(name)
    if name == "upscaler":
        return st.sampled_from(["None", "Lanczos", "Nearest", "nearest"])
    if name == "redo_tiles":
        return st.sampled_from(["all", "all", "all", "", "1", "2, 1", "1-3"])
    if name in ("tile_width", "tile_height"):
        return st.sampled_from([0, 64]) | st.integers(64, 200)
    if isinstance(rule, Choice):
        names = [*rule.labels, *rule.labels.values()]
        return st.sampled_from(names) | st.integers(0, len(rule.labels) - 1)
    if isinstance(rule, Number):
        low, high = _SIZES.get(name, (rule.low, rule.high))
        if name == "custom_scale":
            return st.sampled_from([0.5, 1, 1.5, 2])
        return st.integers(int(low), int(high)) if rule.step == 1 else st.floats(low, high)
    return st.booleans()


def _value(name: str) -> st.SearchStrategy:
    # Mostly proper, or hardly any run would get past its first option.
    return st.integers(0, 39).flatmap(lambda dice: ANYTHING if dice == 39 else proper(name))


@st.composite
def option_dicts(draw):
    names = draw(st.lists(st.sampled_from(SCRIPT_OPTIONS), unique=True, max_size=6))
    found = {name: draw(_value(name)) for name in names}
    if draw(st.integers(0, 19)) == 19:
        found[draw(st.text(max_size=12))] = draw(ANYTHING)
    if draw(st.integers(0, 49)) == 49:
        found.update((f"x{i}", i) for i in range(200))
    return found


@st.composite
def script_args(draw):
    """A list of any length, or one dict in it."""
    kind = draw(st.integers(0, 9))
    if kind < 4:
        more = draw(st.lists(st.none(), max_size=2)) if kind else draw(st.lists(ANYTHING, max_size=2))
        return [draw(option_dicts()), *more]
    if kind == 9:
        return draw(st.lists(ANYTHING, max_size=40))
    names = [*LEGACY_ARGUMENTS, None, *OWN_ARGUMENTS]
    values = [None]
    for name in names[: draw(st.integers(0, len(names)))]:
        if name is None:
            values.append(draw(st.sampled_from([VERSION_MARKER, VERSION_MARKER, None, "x"])))
        elif name == "upscaler_index":
            values.append(draw(st.integers(0, 39).flatmap(lambda dice: ATOMS if dice == 39 else st.integers(0, 2))))
        else:
            values.append(draw(_value(name)))
    return values + draw(st.lists(ANYTHING, max_size=3))
