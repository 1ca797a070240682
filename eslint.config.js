import js from "@eslint/js";
import globals from "globals";

/** Names that are looked for besides; each file names its imports from the host itself. */
const stricter = {
  curly: ["error", "multi-line"],
  eqeqeq: ["error", "always", { null: "ignore" }],
  "no-console": "error",
  "no-control-regex": "off", // captions are cleaned of control characters
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-restricted-properties": ["error", ...["innerHTML", "insertAdjacentHTML"].map(unsafe)],
  "no-var": "error",
  "prefer-const": "error",
};

function unsafe(property) {
  return { property, message: "Make elements, and give them text." };
}

export default [
  js.configs.recommended,
  {
    files: ["js/**/*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
    rules: stricter,
  },
];
