"""What every meter has to bear, one test each: this table says which, and that each is there."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
BORNE = {
    "a wrap early, midway or late": ("meters/test_rapl.py", "test_a_wrap_is_undone_wherever_it_falls"),
    "two wraps": ("meters/test_rapl.py", "test_more_than_one_turn_of_the_counter_is_unknown_and_not_a_number"),
    "a reset of a package": (
        "meters/test_rapl.py",
        "test_a_counter_that_starts_again_is_unknown_and_goes_on_from_there",
    ),
    "a reset of a board": ("meters/test_nvml.py", "test_a_driver_that_is_loaded_again_breaks_the_counter"),
    "permission denied at the start": ("meters/test_rapl.py", "test_a_refused_counter_names_the_command_that_mends_it"),
    "permission lost": ("meters/test_rapl.py", "test_a_permission_that_is_lost_is_said"),
    "a vanishing file": ("meters/test_rapl.py", "test_a_file_that_vanishes_is_said"),
    "psys and package": (
        "meters/test_rapl.py",
        "test_the_whole_platform_is_never_read_beside_the_packages_in_it",
    ),
    "mmio and msr, read": ("meters/test_rapl.py", "test_one_package_behind_two_interfaces_is_read_by_one"),
    "mmio and msr, added": ("test_energy.py", "test_what_would_count_a_joule_twice_has_no_sum"),
    "mirrored dies": ("meters/test_rapl.py", "test_a_mirror_of_another_counter_is_left_out"),
    "MIG labels in NVML": ("meters/test_nvml.py", "test_a_slice_is_measured_by_its_whole_board_and_says_so"),
    "MIG labels of an exporter": (
        "meters/test_prometheus.py",
        "test_a_board_that_stands_there_once_for_each_slice_is_one_counter",
    ),
    "NotSupported energy": ("meters/test_nvml.py", "test_a_board_without_a_counter_is_read_by_its_power"),
    "NotSupported energy and power": (
        "meters/test_nvml.py",
        "test_a_board_that_shows_neither_is_a_problem_with_a_remedy",
    ),
    "a foreign process": ("meters/test_nvml.py", "test_other_processes_on_the_board_are_seen"),
    "a foreign process in an answer": (
        "meters/attribution/test_metered.py",
        "test_who_else_uses_the_device_is_told_of_and_nothing_is_measured_as_the_answers_own",
    ),
    "two workers of xdist": (
        "session/test_metering.py",
        "test_workers_take_turns_and_tell_the_controller_what_their_meters_saw",
    ),
    "a window without a tick": (
        "meters/attribution/test_sharing.py",
        "test_a_window_without_a_tick_is_below_resolution_and_not_zero",
    ),
    "no usage": ("providers/openai/test_provider.py", "test_a_count_that_the_endpoint_does_not_give_is_unknown"),
    # There are no streams without usage, as no provider asks for a stream.
    "no stream": ("providers/openai/test_provider.py", "test_only_what_was_asked_for_is_sent"),
    "0 prompt tokens": ("providers/openai/test_provider.py", "test_a_zero_for_what_is_there_was_not_counted"),
    "two provenances in one sum": ("test_energy.py", "test_amounts_of_two_kinds_have_no_sum_and_no_order"),
    "truth within bounds": ("meters/attribution/test_sharing.py", "test_bounds_are_true_whatever_the_requests"),
}


@pytest.mark.parametrize("fault", BORNE)
def test_each_has_its_test(fault: str) -> None:
    file, name = BORNE[fault]
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
