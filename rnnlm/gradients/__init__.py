"""Where every gradient comes from: `check` proves the kernels, `ledger` splits a gradient by loss and lag, `derive`
walks through the derivation with real numbers. `equations` is the derivation itself, a function an equation."""
