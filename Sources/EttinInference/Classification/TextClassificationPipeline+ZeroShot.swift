import EttinModel

/// A text beside the hypotheses of its candidate labels, as token ids.
public struct PreparedZeroShot: Sendable, Hashable {
    /// The candidate labels.
    public let labels: [String]
    /// The text with each label's hypothesis.
    public let texts: [PreparedText]
}

extension TextClassificationPipeline {
    /// The hypothesis of a label unless the caller says otherwise.
    public static let defaultHypothesisTemplate = "This example is {}."

    /// Classifies texts by labels that the model has never seen, as transformers' `zero-shot-classification` does.
    ///
    /// The model must be one of natural language inference: how far a text entails the hypothesis of a label is the
    /// label's score.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - candidateLabels: The labels; at least one.
    ///   - hypothesisTemplate: A sentence with `{}` in the label's place.
    ///   - multiLabel: Whether several labels can be right: each is then scored by entailment against contradiction,
    ///     otherwise scores sum to 1. A single label is always scored alone.
    ///   - overlong: What to do with texts that are too long beside a hypothesis.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The labels of each text by score, highest first.
    /// - Throws: ``InferenceError`` for a model without a label for entailment, a text that is too long or an option out
    ///   of range; `TorchError` when memory or device fails.
    ///
    /// > Source: transformers `pipelines/zero_shot_classification.py`.
    public func zeroShot(
        _ texts: [String],
        candidateLabels: [String],
        hypothesisTemplate: String = defaultHypothesisTemplate,
        multiLabel: Bool = false,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        _ = try entailmentID()
        let prepared = try preparer.prepare(
            texts,
            candidateLabels: candidateLabels,
            hypothesisTemplate: hypothesisTemplate,
            overlong: overlong
        )
        return try zeroShotResults(for: prepared, multiLabel: multiLabel, maxBatchTokens: maxBatchTokens)
    }

    /// Classifies prepared texts: the second half of
    /// ``zeroShot(_:candidateLabels:hypothesisTemplate:multiLabel:overlong:maxBatchTokens:)``.
    ///
    /// - Parameters:
    ///   - texts: What ``preparer`` made.
    ///   - multiLabel: Whether several labels can be right.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The labels of each text by score, highest first.
    /// - Throws: As the whole; `CancellationError`.
    public func zeroShotResults(
        for texts: [PreparedZeroShot],
        multiLabel: Bool = false,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        let entailment = try entailmentID()
        let contradiction = entailment == 0 ? labels.count - 1 : 0
        let owners = owners(of: texts.map(\.texts.count))
        let all = try logits(of: texts.flatMap(\.texts), maxBatchTokens: maxBatchTokens) { owners[$0 - 1] }
        var next = 0
        return texts.map { text in
            let logits = all[next..<next + text.texts.count]
            next += text.texts.count
            let scores =
                multiLabel || logits.count == 1
                ? logits.map { softmax([$0[contradiction], $0[entailment]])[1] }
                : softmax(logits.map { $0[entailment] })
            return Result(
                labels: zip(text.labels, scores).map { LabelScore(label: $0, score: $1) }.sortedByScore(),
                isTruncated: text.texts.contains(where: \.isTruncated)
            )
        }
    }

    /// The number of the label for entailment.
    private func entailmentID() throws -> Int {
        if labels.count > 1, let id = labels.firstIndex(where: { $0.lowercased().hasPrefix("entail") }) { return id }
        throw InferenceError.unsuitableModel(
            folder: divergence.folder,
            found: "none of the labels \(labels.prefix(8).joined(separator: ", ")) is for entailment",
            expected: "a model of natural language inference, with a label that begins with \"entail\""
        )
    }
}
