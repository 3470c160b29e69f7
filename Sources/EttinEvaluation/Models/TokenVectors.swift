package import EttinInference
import EttinModel

/// What gives a vector for each token, which late interaction is measured with: a model in use, or one that is being
/// trained.
package protocol TokenVectors {
    /// The name or the folder of the model, for cards.
    var modelName: String { get }

    /// Texts as tokens; those that are too long are truncated.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What they are to a search.
    ///   - prompt: What to put before each text.
    /// - Returns: One value for each text, in order.
    /// - Throws: For a prompt that does not exist.
    func prepared(
        _ texts: [String],
        as role: TextRole,
        prompt: LateInteractionPipeline.Prompt
    ) throws -> [PreparedText]

    /// The number of vectors that a text will have.
    func vectorCount(of text: PreparedText) -> Int

    /// The vectors of texts, each of length 1.
    ///
    /// - Parameter texts: What ``prepared(_:as:prompt:)`` made.
    /// - Returns: The vectors of each text, in order.
    /// - Throws: When memory or the device fails; for vectors that are NaN or infinite; `CancellationError`.
    func vectors(of texts: [PreparedText]) throws -> MultiVectorEmbeddings
}

extension LateInteractionPipeline: TokenVectors {
    package var modelName: String { folder }

    package func prepared(_ texts: [String], as role: TextRole, prompt: Prompt) throws -> [PreparedText] {
        try preparer.prepare(texts, as: role, prompt: prompt, overlong: .keepStart)
    }

    package func vectorCount(of text: PreparedText) -> Int {
        model.scoredTokens(of: text)?.count ?? text.tokenIDs.count
    }

    package func vectors(of texts: [PreparedText]) throws -> MultiVectorEmbeddings { try embeddings(of: texts) }
}

extension TokenVectors {
    /// Texts as tokens, with the prompt that the model has for their role.
    func prepared(_ texts: [String], as role: TextRole) throws -> [PreparedText] {
        try prepared(texts, as: role, prompt: .default)
    }
}
