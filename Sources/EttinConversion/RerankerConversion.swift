import EttinFiles
package import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

/// Gives a reranker the other head, with the same scores: modules for a classification checkpoint, and back.
///
/// Every version of transformers and sentence-transformers loads a classification checkpoint; modules, as Ettin's rerankers
/// are, need sentence-transformers 6.
package struct RerankerConversion {
    /// What differs in training, a sentence each.
    package let notices: [String]
    private let folder: String
    private let model: RerankerModel
    private let head: RerankerModel.Head

    /// Converts a model in memory.
    ///
    /// - Parameters:
    ///   - folder: The reranker's folder.
    ///   - head: The head that it is to have.
    /// - Throws: `CheckpointError` for a folder of another kind, broken files, and a part that the other head has no place
    ///   for; `TrainingError` for a reranker that has this head already; `TorchError` when memory runs out.
    package init(folder: String, to head: RerankerModel.Head) throws {
        let original = try RerankerModel(folder: folder)
        guard original.head != head else {
            let other: RerankerModel.Head = head == .modular ? .classification : .modular
            throw TrainingError(
                .invalidOption,
                folder,
                found: "has a \(head.rawValue) head already",
                expected: "a reranker with a \(other.rawValue) head"
            )
        }
        self.folder = folder
        self.head = head
        (model, notices) = try original.converted(to: head)
    }

    /// Writes the model with tokenizer and card into a folder, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - output: A folder that is empty or does not exist yet.
    ///   - origin: The model's name on the Hub, for the card.
    /// - Returns: The number of parameters.
    /// - Throws: `CheckpointError` for failures of the file system; `TokenizerError` for a broken tokenizer.
    package func write(toFolder output: String, origin: String? = nil) throws -> Int {
        let target = try CheckpointError.translating { try AtomicFolder(path: output) }
        // Rerankers of a classification head have prompts in the layout of version 6 alone.
        let needsVersion6 = head == .modular || !model.settings.prompts.isEmpty
        try model.save(folder: target.temporaryPath, layout: needsVersion6 ? .version6 : .version5)
        let input = try model.chain.input()
        let tokenizer = try Tokenizer(folder: input.folder)
        let limits = [tokenizer.modelMaxLength, input.maxTokens].compactMap(\.self)
        try tokenizer.save(to: target.temporaryPath, modelMaxLength: limits.min())
        let name = FilePath.lastComponent(of: target.path)
        try card(named: name, origin: origin).write(toFolder: target.temporaryPath)
        try CheckpointError.translating { try target.commit() }
        return model.parameterCount
    }

    private func card(named name: String, origin: String?) -> ModelCard {
        let isReranker = model.labelCount == 1
        var card = ModelCard(title: name)
        card.baseModel = origin
        card.relation = nil
        card.summary =
            "A \(isReranker ? "reranker" : "classifier") (cross-encoder) of \(model.parameterCount) parameters with a "
            + "\(head.rawValue) head, converted from one with another head; its scores are the same."
        card.pipelineTag = isReranker ? "text-ranking" : "text-classification"
        card.libraryName = "sentence-transformers"
        card.tags = ["sentence-transformers", "cross-encoder", "reranker"]
        card.usageLanguage = "python"
        card.usage = """
            from sentence_transformers import CrossEncoder

            model = CrossEncoder("\(name)")
            print(model.predict([("capital of France", "Paris is the capital of France.")]))
            """
        return card
    }
}
