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
_MIXTURE_PRODUCT = {
    "output.U": "dJ/dU = sum_k g_k(t)' dJ/dz_k(t)",
    "output.b2": "dJ/db2 = sum_k dJ/dz_k(t)",
    "output.W": "dJ/dW = h(t)' (pi(t) - r(t))",
    "output.P": "dJ/dP_k = h(t)' dJ/du_k(t)",
    "output.c": "dJ/dc_k = dJ/du_k(t)",
}
_CLASSES_PRODUCT = {
    "output.U_c": "dJ/dU_c = h(t)' (c^(t) - y_c(t)), y_c the class of y",
    "output.b_c": "dJ/db_c = c^(t) - y_c(t)",
    "output.W": "dJ/dW_w = delta2_w(t) h(t)",
    "output.b2": "dJ/db2_w = delta2_w(t)",
}
_HIERARCHICAL_PRODUCT = {"output.W": "dJ/dW_n = dJ(t)/dz_n h(t)", "output.b": "dJ/db_n = dJ(t)/dz_n"}
_SOFTMAX: tuple[dict[str, str], str] = ({}, "delta2(t) = y^(t) - y(t)")
# Output layers by a parameter that they alone have: the lines of their products, and what these have in common.
_LAYERS = {
    "output.c": (_MIXTURE_PRODUCT, "dJ/dz_k(t) = r_k(t) (q_k(t) - y(t))"),
    "output.U_c": (_CLASSES_PRODUCT, "c^(t) - y_c(t) and delta2_w(t) = q_w(t) - y_w(t)"),
    "output.b": (_HIERARCHICAL_PRODUCT, "dJ(t)/dz_n = s(z_n) - (1 - d_j)"),
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
    own, delta2 = next((_LAYERS[found.name] for found in checks if found.name in _LAYERS), _SOFTMAX)
    part, names = next((part, names) for part, names in groups if any(name in failed for name in names))
    wrong = [name for name in names if name in failed]
    one = failed[wrong[0]]
    if len(wrong) < len(names) or len(names) == 1:
        where = "; ".join(f"{name}: look at {_product(name, _PRODUCT | own)}{_kind(failed[name])}" for name in wrong)
    elif part == "output":
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
