"""Records of what an answer took: a plain one is alone, told by its tokens, not guarded and no repetition."""

from pytest_rightsize.meters.attribution.shares import Part, Share


def test_what_is_not_said_of_a_share_is_not_so() -> None:
    part = Part(low=1.0, joules=2.0, high=3.0, ticks=4)
    share = Share(ticket=0, start=1.0, end=2.0, window_s=0.5, parts=(part,), shared=False)
    assert (share.by_time, share.guarded, share.repeated) == (False, False, False)
    assert share.parts == (Part(low=1.0, joules=2.0, high=3.0, ticks=4),)
