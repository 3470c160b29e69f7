/// What a text is to a search, which decides its prompt, its route through the model and its length.
public enum TextRole: String, Sendable, Hashable, CaseIterable {
    /// What is asked.
    case query
    /// What is searched.
    case document

    /// The names of prompts for it, the first that a model has being taken.
    var promptNames: [String] { self == .query ? ["query"] : ["document", "passage", "corpus"] }
}

/// The prompts of a model.
struct PromptTexts: Sendable {
    let prompts: [String: String]
    let defaultName: String?
    /// Whether a role has a prompt of its own; in PyLate queries and documents have the same, the default.
    var appliesByRole = true

    /// What goes before a text.
    ///
    /// > Source: sentence-transformers 6.2, `encode_query`, `encode_document` and `encode`; PyLate 1.6,
    /// > `ColBERT.encode`.
    func text(of prompt: TextEmbeddingPipeline.Prompt, for role: TextRole?) throws -> String {
        let name: String
        switch prompt {
        case .none: return ""
        case .text(let text): return text
        case .named(let given): name = given
        case .default:
            let own = appliesByRole ? role?.promptNames.first { prompts[$0] != nil } : nil
            guard let given = own ?? defaultName else { return "" }
            // The original has a prompt for each role in every model, an empty one where the folder names none.
            if !appliesByRole, prompts[given] == nil, TextRole(rawValue: given) != nil { return "" }
            name = given
        }
        guard let text = prompts[name] else {
            let known = prompts.keys.sorted()
            throw InferenceError.invalidOption(
                name: "prompt-name",
                found: "\"\(name)\"",
                expected: known.isEmpty ? "none, as the model has no prompts" : known.joined(separator: ", ")
            )
        }
        return text
    }
}
