// The heads that fine-tuning adds: a prediction head and a linear classifier over it.
public import Torch

/// A prediction head, dropout and a linear classifier.
final class ClassifierHead: Module {
    @Child("head") var prediction: PredictionHead
    @Child("classifier") var classifier: Linear
    private let dropout: Double

    /// Creates a head with uninitialised parameters; without a number of outputs it has one for each label.
    init(_ configuration: ModernBERTConfiguration, outputs: Int? = nil) {
        dropout = configuration.classifierDropout
        super.init()
        prediction = PredictionHead(configuration)
        // An encoder's classifier always has a bias, a decoder's where the configuration says so.
        let hasBias = configuration.kind == .encoder || configuration.classifierBias
        classifier = Linear(configuration.hiddenSize, outputs ?? configuration.labelCount, hasBias: hasBias)
    }

    /// The scores, which a mixed precision gives in float32.
    func callAsFunction(_ hidden: Tensor, training: DropoutContext?, precision: Precision) -> Tensor {
        let predicted = prediction(hidden, training: training).dropout(dropout, training, place: DropoutPlace.head)
        let scores = classifier(predicted, training: training)
        return precision == .full ? scores : scores.to(.float32)
    }
}

// MARK: -

/// A classifier of sequences.
///
/// An encoder pools its hidden states as `classifierPooling` says, then applies the prediction head; a decoder applies
/// the head to every token and takes the scores of the last one that is not padding.
///
/// > Source: transformers `ModernBertForSequenceClassification`, `ModernBertDecoderForSequenceClassification`.
public final class SequenceClassificationModel: Module, PretrainedModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForSequenceClassification" : "ModernBertDecoderForSequenceClassification"
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated configuration; `labelCount` classes.
    ///   - windowRule: How wide a decoder's local window is.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = ClassifierHead(configuration)
    }

    /// The logits of each sequence.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, none of them empty.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[sequences, labelCount]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        let pooled: Tensor =
            switch (configuration.kind, configuration.classifierPooling) {
            case (.decoder, _): hidden.selecting(lastTokens(batch).to(hidden.device))
            case (.encoder, .cls): hidden.pooled(batch, by: .cls)
            case (.encoder, .mean): hidden.pooled(batch, by: .mean)
            }
        return head(pooled, training: training, precision: precision)
    }

    /// The row of the right-most token of each sequence that is not padding; its first row when all are.
    private func lastTokens(_ batch: PackedBatch) -> Tensor {
        let rows = (0..<batch.sequenceCount).map { sequence -> Int64 in
            let range = batch.range(of: sequence)
            guard let pad = configuration.padTokenID else { return Int64(range.upperBound - 1) }
            return Int64(range.last { batch.inputIDs[$0] != pad } ?? range.lowerBound)
        }
        return Tensor(rows)
    }
}

// MARK: -

/// A classifier of tokens, encoders only.
///
/// > Source: transformers `ModernBertForTokenClassification`.
public final class TokenClassificationModel: Module, PretrainedModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForTokenClassification" : nil
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated encoder configuration; `labelCount` classes.
    ///   - windowRule: Without effect on encoders.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = ClassifierHead(configuration)
    }

    /// The logits of each token.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[tokens, labelCount]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        return head(hidden, training: training, precision: precision)
    }
}

// MARK: -

/// Extractive question answering: each token's logits as start and as end of the answer, encoders only.
///
/// > Source: transformers `ModernBertForQuestionAnswering`.
public final class QuestionAnsweringModel: Module, PretrainedModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier of two outputs.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForQuestionAnswering" : nil
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated encoder configuration.
    ///   - windowRule: Without effect on encoders.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        // Two outputs whatever the labels say, so that a checkpoint of another number does not load.
        head = ClassifierHead(configuration, outputs: 2)
    }

    /// The logits of each token as start and end of the answer.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, question and context in one.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: Two tensors `[tokens]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> (start: Tensor, end: Tensor) {
        let hidden = model(batch, training: training, precision: precision)
        let scores = head(hidden, training: training, precision: precision)
        let columns = scores.split(into: 2, along: 1).map { $0.reshaped(-1) }
        return (columns[0], columns[1])
    }

    /// The mean of the cross-entropies of start and end, each over the tokens of its own sequence.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - starts: The position of the answer's first token in each sequence; one beyond it does not count.
    ///   - ends: The position of the answer's last token in each sequence; one beyond it does not count.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: A scalar; NaN when no position counts.
    public func loss(
        _ batch: PackedBatch,
        starts: [Int],
        ends: [Int],
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let scores = self(batch, training: training, precision: precision)
        let parts = [(scores.start, starts), (scores.end, ends)].map { column, positions in
            let losses = (0..<batch.sequenceCount).compactMap { sequence -> Tensor? in
                let range = batch.range(of: sequence)
                let position = positions[sequence]
                guard (0..<range.count).contains(position) else { return nil }
                let logits = column.narrowed(along: 0, from: range.lowerBound, count: range.count).reshaped(1, -1)
                return logits.crossEntropy(Tensor([Int64(position)]).to(logits.device)).reshaped(1)
            }
            return losses.isEmpty ? Tensor.full([], .nan) : Tensor.concatenate(losses).mean()
        }
        return (parts[0] + parts[1]) / 2
    }
}
