"""Simple formulas as text; what a line of text cannot show gives none."""

import re

LONGEST = 60
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
_SYMBOLS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "equiv": "≡", "sim": "∼", "to": "→", "rightarrow": "→", "leftarrow": "←", "infty": "∞",
    "in": "∈", "notin": "∉", "subset": "⊂", "subseteq": "⊆", "cup": "∪", "cap": "∩", "forall": "∀", "exists": "∃",
    "partial": "∂", "nabla": "∇", "hbar": "ħ", "ell": "ℓ", "circ": "°", "ldots": "…", "dots": "…", "cdots": "⋯",
    "langle": "⟨", "rangle": "⟩", "emptyset": "∅", "sin": "sin", "cos": "cos", "tan": "tan", "log": "log", "ln": "ln",
    "exp": "exp", "max": "max", "min": "min", "quad": " ", "prime": "′",
}  # fmt: skip
_COMMANDS = {**_GREEK, **_SYMBOLS, "mathbb": "", "mathrm": "", "mathbf": "", "mathit": "", "mathcal": "", "text": "",
             "rm": "", "bf": "", "it": "", "displaystyle": "", "textstyle": "", "left": "", "right": "",
             "operatorname": ""}  # fmt: skip
_RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_SCRIPT = re.compile(r"([\^_])(?:\{([0-9+\-=()n]{1,12})\}|([0-9n]))")
_COMMAND = re.compile(r"\\([A-Za-z]+) ?|\\([,;:! ])|\\([%&#_$])")
_UNBRACED = re.compile(r"\{([^{}\\^_]*)\}")
# What is left must be characters that read as they are written.
_PLAIN = re.compile(r"[\w\s+\-=,.()'\[\]|/<>:;!*%&×·÷±≤≥≠≈≡∼→←∞∈∉⊂⊆∪∩∀∃∂∇ħℓ°…⋯⟨⟩∅′⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎]*")


def formula_text(formula: str) -> str:
    """`2\\pi r` → `2πr`; empty for a formula with fractions, roots or anything else that needs two dimensions."""
    formula = formula.strip()
    if len(formula) > LONGEST:
        return ""
    unknown = False

    def command(match: re.Match[str]) -> str:
        nonlocal unknown
        if match[3]:
            return match[3]
        if match[2]:
            return " "
        unknown |= match[1] not in _COMMANDS
        return _COMMANDS.get(match[1], "")

    def script(match: re.Match[str]) -> str:
        nonlocal unknown
        digits = match[2] or match[3]
        unknown |= match[1] == "_" and "n" in digits
        return digits.translate(_RAISED if match[1] == "^" else _LOWERED)

    text = _SCRIPT.sub(script, _COMMAND.sub(command, formula))
    text = _UNBRACED.sub(r"\1", _UNBRACED.sub(r"\1", text))
    if unknown or not _PLAIN.fullmatch(text) or "^" in text or "_" in text:
        return ""
    return " ".join(text.split())
