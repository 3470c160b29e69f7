import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// How a model with a classifier is loaded, or made of one without.
struct ClassifierLoading {
    /// What the recipe calls the model.
    let name: String
    /// The labels that are needed.
    let requirement: LabelRequirement
    /// What the labels mean; nil where the configuration does not say.
    let problem: ProblemType?
    /// How hidden states become one vector; nil for what the model says.
    let pooling: ClassifierPooling?
    /// Dropout before the classifier; nil for what the model says.
    let dropout: Double?
    /// Random seed of what is new.
    let seed: UInt64
    /// Whether a classifier for other labels makes way for a new one; `ignore_mismatched_sizes`.
    let ignoresMismatch: Bool
    /// Whether a classifier makes way for a new one in any case; `transfer_from`.
    let renewsClassifier: Bool

    /// Loads or makes a model.
    ///
    /// The dense layer and the norm of an encoder's masked-LM head are taken over, as transformers does; a decoder's
    /// language-model head is not, and what a checkpoint lacks is drawn as transformers draws it.
    ///
    /// - Parameters:
    ///   - type: The class of the model.
    ///   - folder: The folder of the model.
    ///   - kind: The kind of folder that such a model has.
    ///   - expected: What such a folder is called in messages.
    /// - Returns: The model in float32, and what of it is new, a sentence each.
    /// - Throws: `CheckpointError` for a folder of another kind; `TrainingError` for a classifier of other labels; what
    ///   loading throws.
    func load<Model: ClassifierModel>(
        _ type: Model.Type,
        folder: String,
        kind: FolderKind,
        expected: String
    ) throws -> (model: Model, notices: [String]) {
        try UnsupportedFolder.check(folder)
        let evidence = try FolderEvidence(folder: folder)
        var names = requirement.names
        var (isTrained, notices): (Bool, [String]) = (false, [])
        switch evidence?.kind {
        case kind:
            let configuration = try ModernBERTConfiguration(folder: folder)
            try checkPooling(configuration)
            let present = configuration.labels ?? LabelRequirement.generic(configuration.labelCount)
            if renewsClassifier {
                notices = ["the classifier is new; the rest of the model is that of \(folder)"]
            } else if let labels = requirement.labels(ofModel: present, mustEqual: ignoresMismatch) {
                (names, isTrained) = (labels, true)
                if labels.count > requirement.names.count {
                    notices = [
                        "\(name) has \(LabelRequirement.text(labels)) labels, of which the data has "
                            + LabelRequirement.text(requirement.names)
                    ]
                }
            } else {
                guard ignoresMismatch else { throw mismatch(present) }
                notices = ["the classifier is new: \(name) has \(LabelRequirement.text(present)) labels"]
            }
        case .maskedLM, .causalLM, .backbone, .embedding, nil:
            let hasHead = try TensorStore.open(folder: folder).names.contains {
                $0 == "head.dense.weight" || $0.hasSuffix(".head.dense.weight")
            }
            if !hasHead {
                notices = [
                    "\(name) has no head that a classifier takes over, so that head.dense and head.norm are new beside the "
                        + "classifier"
                ]
            }
        case let other?:
            throw evidence?.error(folder: folder, expected: expected)
                ?? CheckpointError(.unsupported, file: folder, found: "is \(other.phrase)", expected: expected)
        }
        let model = try Model.load(
            folder: folder,
            dtype: .float32,
            newHeadSeed: isTrained ? nil : seed,
            renewing: { !isTrained && $0.hasPrefix("classifier.") }
        ) {
            $0.labels = names
            $0.otherKeys["label2id"] = nil
            $0.problemType = problem
            if let pooling { $0.classifierPooling = pooling }
            if let dropout { $0.classifierDropout = dropout }
        }
        try withRecovery { model.copyBorrowedParameters() }
        return (model, notices)
    }

    private func mismatch(_ present: [String]) -> TrainingError {
        TrainingError(
            .invalidOption,
            "model_name_or_path",
            found:
                "is \(name), whose classifier has \(LabelRequirement.text(present)) labels, but the data and the recipe "
                + "ask for \(LabelRequirement.text(requirement.names))",
            expected: "a model with these labels, or ignore_mismatched_sizes: true for a new classifier"
        )
    }

    /// Refuses a pooling that the model was not trained with.
    private func checkPooling(_ configuration: ModernBERTConfiguration) throws {
        guard let pooling, configuration.kind == .encoder, pooling != configuration.classifierPooling else { return }
        throw TrainingError(
            .invalidOption,
            "classifier_pooling",
            found: "is \(pooling.rawValue), but \(name) has \(configuration.classifierPooling.rawValue)",
            expected: "\(configuration.classifierPooling.rawValue), or an encoder without a classifier"
        )
    }
}
