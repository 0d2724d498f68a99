"""Every plugin that one request at a time shows, with its cases."""

from tests.higress import balancing, gateway, models, rewriting, transforming

CASES = {
    **transforming.CASES,
    **rewriting.CASES,
    **gateway.CASES,
    **models.CASES,
    **balancing.CASES,
}
