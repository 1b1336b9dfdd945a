"""The verdict of a failed gradient check: which line of the derivation is wrong.

The way back goes from the output layer through the last recurrent layer down to the embedding, and a mistake spoils
all that comes after it. So the first parameter on this way that is wrong is where to look; whether a window of one
step suffices tells the step's own lines from the path through time."""

from __future__ import annotations

from collections.abc import Sequence

from rnnlm.gradients.check.records import ParameterCheck

_PRODUCT = {
    "U": "dJ/dU = h(t)' delta2(t)",
    "b2": "dJ/db2 = delta2(t)",
    "H": "dJ/dH = h(t-1)' delta1(t)",
    "I": "dJ/dI = e(t)' delta1(t)",
    "b1": "dJ/db1 = delta1(t)",
    "table": "dJ/de(t) = delta1(t) I', added into row x(t)",
    "output.P": "dJ/dP = h(t)' dJ/dp(t)",
}
# Of a mixture of softmaxes.
_MIXTURE_PRODUCT = {
    "output.U": "dJ/dU = sum_k g_k(t)' dJ/dz_k(t)",
    "output.b2": "dJ/db2 = sum_k dJ/dz_k(t)",
    "output.W": "dJ/dW = h(t)' (pi(t) - r(t))",
    "output.P": "dJ/dP_k = h(t)' dJ/du_k(t)",
    "output.c": "dJ/dc_k = dJ/du_k(t)",
}


def verdict(checks: Sequence[ParameterCheck], untruncated: Sequence[ParameterCheck], forward_passed: bool) -> str:
    """One or two sentences: all is well, or what is wrong first on the way back."""
    failed = {found.name: found for found in checks if not found.passed}
    if not failed:
        if not forward_passed:
            return (
                "the gradients are those of the kernels' loss, but this loss is not that of the equations: "
                "look at the forward pass"
            )
        if late := [found.name for found in untruncated if not found.passed]:
            return f"right in the window, wrong through the steps before it: {', '.join(late)}"
        return "every gradient is the derivative of the loss"
    prefix = "" if forward_passed else "the kernels' loss is not that of the equations: look at the forward pass. "
    groups = _way_back(list(found.name for found in checks))
    mixture = any(found.name == "output.W" for found in checks)
    part, names = next((part, names) for part, names in groups if any(name in failed for name in names))
    wrong = [name for name in names if name in failed]
    one = failed[wrong[0]]
    if len(wrong) < len(names) or len(names) == 1:
        products = _PRODUCT | (_MIXTURE_PRODUCT if mixture else {})
        where = "; ".join(f"{name}: look at {_product(name, products)}{_kind(failed[name])}" for name in wrong)
    elif part == "output":
        delta2 = "dJ/dz_k(t) = r_k(t) (q_k(t) - y(t))" if mixture else "delta2(t) = y^(t) - y(t)"
        where = f"{', '.join(wrong)}: look at {delta2}{_kind(one)}"
    elif one.shortest == 1:
        where = (
            f"all of {part} ({', '.join(wrong)}), in a window of one step too: look at delta1(t) = dJ/dh(t) o "
            "f'(z1(t)) and at what comes down from above"
        )
    else:
        where = (
            f"all of {part}, right in a window of one step and wrong from {one.shortest} steps on: look at {part}.H "
            "on the way back through time, dJ/dh(t) = delta1(t+1) H'"
        )
    after = [name for name in failed if name not in wrong]
    rest = f". What comes after it on the way back is wrong with it: {', '.join(after)}" if after else ""
    return f"{prefix}first wrong on the way back: {where}{rest}"


def _product(name: str, products: dict[str, str]) -> str:
    """The line that makes a parameter's gradient; the same letter may be another matrix in the output layer."""
    last = name.rsplit(".", 1)[-1]
    return products.get(name) or products.get(last) or f"dJ/d{last}"


def _way_back(names: list[str]) -> list[tuple[str, list[str]]]:
    """The parameters by layer, from the output to the embedding."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.rsplit(".", 1)[0], []).append(name)
    cells = sorted((part for part in parts if part.startswith("cell.")), key=lambda p: -int(p.split(".")[1]))
    order = [part for part in ("output", *cells, "embedding") if part in parts]
    return [(part, parts[part]) for part in order]


def _kind(found: ParameterCheck) -> str:
    """What the two gradients' directions and sizes give away."""
    if found.cosine < -0.999:
        return f" (the opposite direction, {found.ratio:.4g} times as large: a sign)"
    if found.cosine > 0.9999 and abs(found.ratio - 1) > 1e-6:
        return f" (the right direction, {found.ratio:.6g} times as large: a factor)"
    return f" (cosine {found.cosine:.4f}, norm ratio {found.ratio:.4f})"
