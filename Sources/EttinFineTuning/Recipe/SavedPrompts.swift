import EttinFiles
import EttinTraining

/// The prompts that a recipe wants a model to be saved with.
struct SavedPrompts {
    /// The names by which a model without such prompts may have a default all the same.
    static let roles = ["query", "document"]

    /// Prompts by name; `model_prompts`.
    let prompts: [String: String]
    /// The prompt that is used when none is named; `default_prompt_name`.
    let defaultName: String?
    /// The model as the recipe names it, for messages.
    let model: String

    /// The prompts of a model with these added.
    ///
    /// - Parameters:
    ///   - own: The model's prompts.
    ///   - ownDefault: The name of its default prompt.
    ///   - roles: Names that the default may have without a prompt.
    /// - Returns: The prompts, and the name of the default one.
    /// - Throws: `TrainingError` for a default that is not among the prompts.
    func added(
        to own: [String: String],
        default ownDefault: String?,
        roles: [String] = roles
    ) throws -> (prompts: [String: String], defaultName: String?) {
        let all = own.merging(prompts) { $1 }
        guard let defaultName else { return (all, ownDefault) }
        guard all[defaultName] != nil || roles.contains(defaultName) else {
            throw TrainingError(
                .invalidOption,
                "default_prompt_name",
                found: "is \(quoted(defaultName))",
                expected: "a name of model_prompts, or of a prompt of \(model)"
            )
        }
        return (all, defaultName)
    }
}
