import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// The adapters that a run trains in place of its model's weights.
///
/// A folder of the run holds them in place of those weights; resuming takes the weights of the base again.
struct AdapterTraining {
    private let adapters: AttachedLoRA
    private let model: any PretrainedModel
    private let base: String

    /// Attaches adapters to the transformer of a model.
    ///
    /// - Parameters:
    ///   - configuration: What the recipe says.
    ///   - subject: The model.
    ///   - recipe: The recipe, whose model is the base.
    ///   - base: The folder of the base.
    /// - Throws: `TrainingError` for a model without a transformer or with several; `CheckpointError` for layers that the
    ///   model does not have.
    init(
        _ configuration: LoRAConfiguration,
        to subject: any FineTuningSubject,
        _ recipe: FineTuningSettings,
        base: String
    ) throws {
        guard !AdapterFolder.isOpened(base) else {
            throw TrainingError(
                .invalidOption,
                "use_peft",
                found: "is true, but \(recipe.model) is an adapter itself",
                expected: "a model; `ettin merge` makes one of an adapter"
            )
        }
        model = try Self.transformer(of: subject, recipe.model)
        self.base = base
        var configuration = configuration
        (configuration.baseModel, configuration.revision) = Self.reference(recipe.model, folder: base)
        let kind = model.configuration.kind
        configuration.targets = configuration.targets ?? LoRAConfiguration.defaultTargets(of: kind)
        try Self.checkTask(configuration.taskType, of: model)
        configuration.taskType = configuration.taskType ?? Self.taskType(of: model)
        let added = try Self.modulesOfTask(configuration.taskType) + Self.newModules(of: model, base: base)
        for name in added where !configuration.modulesToSave.contains(name) { configuration.modulesToSave.append(name) }
        do {
            adapters = try AttachedLoRA(
                configuration,
                to: model,
                seed: UInt64(recipe.arguments.seed),
                place: "the recipe"
            )
        } catch let error as CheckpointError {
            // The recipe's own names of what PEFT calls otherwise.
            throw TrainingError(.invalidOption, "lora_target_modules", found: "does not fit the model: \(error)")
        }
    }

    /// Opens a folder of the run as the base with what the folder has besides adapters.
    ///
    /// - Parameters:
    ///   - folder: A folder that the run has written.
    ///   - base: The folder of the base.
    /// - Returns: A folder that reads as a model, before the adapters.
    /// - Throws: `TrainingError` for a folder without adapters; what opening it throws.
    static func opened(_ folder: String, base: String) throws -> String {
        guard AdapterFolder.isAdapter(folder) else {
            throw TrainingError(
                .invalidOption,
                "use_peft",
                found: "is true, but \(folder) holds a whole model",
                expected: "the recipe that the run began with, or another output_dir"
            )
        }
        return try AdapterFolder.opened(folder, base: base, isMerged: false)
    }

    /// Refuses a folder with adapters for a run without.
    static func requireNone(_ folder: String) throws {
        guard AdapterFolder.isAdapter(folder) else { return }
        throw TrainingError(
            .invalidOption,
            "use_peft",
            found: "is not true, but \(folder) holds adapters",
            expected: "the recipe that the run began with, or another output_dir"
        )
    }

    /// Stops recording gradients of the transformer's own weights.
    func freeze() { adapters.freeze(model) }

    /// Takes the adapters of a folder of the run.
    ///
    /// - Parameter folder: A folder that the run has written.
    /// - Throws: `TrainingError` for a folder with other adapters; `CheckpointError` for one that is broken.
    func load(folder: String) throws {
        let saved = Self.identity(of: try LoRAConfiguration(folder: folder))
        guard saved == identity else {
            throw TrainingError(
                .invalidOption,
                "use_peft",
                found: "makes the adapters \(identity), but \(folder) has \(saved)",
                expected: "the recipe that the run began with, or another output_dir"
            )
        }
        try adapters.load(folder: folder, into: model)
    }

    /// Takes the model and adapters of a folder of the run.
    func load(_ subject: any FineTuningSubject, fromFolder folder: String) throws {
        try subject.load(fromFolder: Self.opened(folder, base: base))
        try load(folder: folder)
    }

    /// What a run that is resumed must share.
    var identity: String { Self.identity(of: adapters.configuration) }

    private static func identity(of configuration: LoRAConfiguration) -> String {
        var configuration = configuration
        (configuration.baseModel, configuration.revision) = (nil, nil)
        return configuration.json.filter { !$0.value.isNull }.map { "\($0.key)=\($0.value.text())" }
            .joined(separator: " ")
    }

    // MARK: The model

    /// The transformer of a model; a model of several has no place for one adapter.
    private static func transformer(of subject: any FineTuningSubject, _ name: String) throws -> any PretrainedModel {
        let found =
            (subject.module as? any PretrainedModel).map { [$0] }
            ?? subject.module.modules().compactMap { ($0.module as? TransformerModule)?.pretrained }
        guard found.count == 1, let model = found.first else {
            throw TrainingError(
                .invalidOption,
                "use_peft",
                found: "is true, but \(name) has \(found.isEmpty ? "no transformer" : "\(found.count) transformers")",
                expected: "a model with one"
            )
        }
        return model
    }

    /// What PEFT calls the task of a model; nil where it has no name for it.
    private static func taskType(of model: any PretrainedModel) -> String? {
        switch model {
        case is ModernBERT: "FEATURE_EXTRACTION"
        case is LanguageModel: model.configuration.kind == .decoder ? "CAUSAL_LM" : nil
        case is SequenceClassificationModel: "SEQ_CLS"
        case is TokenClassificationModel: "TOKEN_CLS"
        case is QuestionAnsweringModel: "QUESTION_ANS"
        default: nil
        }
    }

    /// Refuses another task than that of a classifier, whose last layer would then be neither trained nor saved.
    private static func checkTask(_ task: String?, of model: any PretrainedModel) throws {
        guard let task, let own = taskType(of: model), task != own, !modulesOfTask(own).isEmpty else { return }
        throw TrainingError(
            .invalidOption,
            "lora_task_type",
            found: "is \(task), but the run trains a classifier",
            expected: "\(own), which is the default"
        )
    }

    /// How PEFT finds a base: a folder, or a name on the Hub with the revision apart.
    private static func reference(_ name: String, folder: String) -> (String?, String?) {
        guard FilePath.kind(of: FilePath.expandingHome(name)) == .absent else {
            return (FilePath.absolute(folder), nil)
        }
        let parts = name.split(separator: "@", maxSplits: 1).map(String.init)
        guard let first = parts.first else { return (name, nil) }
        let repository = EttinSuite.model(named: first)?.repository ?? first
        return (repository, parts.count == 2 ? parts[1] : nil)
    }

    /// What PEFT trains whole for a task besides what it is told.
    private static func modulesOfTask(_ task: String?) -> [String] {
        ["SEQ_CLS", "TOKEN_CLS"].contains(task) ? ["classifier", "score"] : []
    }

    /// The modules of the head that the base lacks, which nobody else could load.
    private static func newModules(of model: some PretrainedModel, base: String) throws -> [String] {
        guard type(of: model).headNaming != .none else { return [] }
        let stored = Set(try TensorStore.open(folder: base).names)
        let heads = ["head", "lm_head", "classifier"]
        let names = model.checkpointState.map(\.key)
        return heads.filter { head in
            names.contains { $0.hasPrefix(head + ".") && !stored.contains($0) && !stored.contains("model." + $0) }
        }
    }
}
