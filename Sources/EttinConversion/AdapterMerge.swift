import EttinFiles
import EttinJSON
public import EttinModel
import EttinTraining
import Torch

/// Makes a model of an adapter and the model that it changes, whatever it gives.
///
/// ```swift
/// let merge = try AdapterMerge(folder: "output/sft/final")
/// try merge.write(toFolder: "assistant")
/// ```
/// Weights keep their type and their names; what the adapter does not change is kept bit for bit.
///
/// > Source: PEFT 0.21, `merge_and_unload`.
public struct AdapterMerge {
    /// The folder of the adapter.
    public let folder: String
    /// The configuration of the adapter.
    public let configuration: LoRAConfiguration
    private let opened: String
    /// The base where it is not the one that the adapter names.
    private let otherBase: String?

    /// What a checkpoint has for resuming its run, here and in transformers.
    private static let trainingFiles = [
        OptimizerFile.name, TrainerState.fileName, TrainerState.strategiesFileName, JSONLinesLogger.fileName,
        "run.json", "training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth",
    ]

    /// Reads an adapter and finds its base.
    ///
    /// - Parameters:
    ///   - folder: The folder of an adapter.
    ///   - base: The folder of the model that it changes; nil for the one that the adapter names.
    /// - Throws: `CheckpointError` for a folder that holds no adapter, one that is not supported, or a missing base.
    public init(folder: String, base: String? = nil) throws {
        try self.init(folder: folder, base: base) { _, _ in nil }
    }

    /// Reads an adapter and finds its base.
    ///
    /// - Parameters:
    ///   - folder: The folder of an adapter.
    ///   - base: The folder of the model that it changes; nil for the one that the adapter names.
    ///   - resolver: Finds a base that is no folder.
    /// - Throws: As ``init(folder:base:)``.
    package init(folder: String, base: String?, resolver: AdapterFolder.Resolver) throws {
        guard AdapterFolder.isAdapter(folder) else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "holds no adapter",
                expected: "a folder with adapter_config.json and without a model's weights"
            )
        }
        self.folder = folder
        configuration = try LoRAConfiguration(folder: folder)
        otherBase = base
        opened = try AdapterFolder.opened(folder, base: base, resolver: resolver)
    }

    /// Writes the model.
    ///
    /// - Parameter output: A folder that is empty or does not exist yet.
    /// - Returns: The number of parameters.
    /// - Throws: `CheckpointError` for a base that the adapter does not fit, and failures of the file system; `TorchError`
    ///   when memory runs out.
    @discardableResult
    public func write(toFolder output: String) throws -> Int {
        let target = try CheckpointError.translating { try AtomicFolder(path: output) }
        let store = try TensorStore.open(folder: opened)
        try store.requireFiniteValues(folder: opened)
        try AdapterFolder.weights(of: folder).requireFiniteValues(folder: folder)
        let parameters = try withRecovery { try writeWeights(of: store, toFolder: target.temporaryPath) }
        let others = ["README.md", "config.json"] + Self.trainingFiles
        let skipped = Set(TensorStore.Form.allCases.map(\.rawValue) + store.files + others)
        try CheckpointError.translating {
            try copy(opened, to: target.temporaryPath) { !skipped.contains($0) && !$0.hasPrefix("adapter_") }
        }
        try card(named: FilePath.lastComponent(of: target.path), parameters: parameters)
            .write(toFolder: target.temporaryPath)
        try CheckpointError.translating { try target.commit() }
        return parameters
    }

    /// Writes weights and configuration, which says whether the output matrix is the embedding.
    private func writeWeights(of store: TensorStore, toFolder output: String) throws -> Int {
        guard let adapter = try StoredAdapter(openedFolder: opened) else { return 0 }
        var configuration = try ModernBERTConfiguration(folder: opened)
        var state = try adapter.merged(into: store.stateDictionary())
        if configuration.tiesWordEmbeddings, let place = state.firstIndex(where: { $0.key == "decoder.weight" }) {
            if try adapter.ownsOutputMatrix(in: state) {
                configuration.tiesWordEmbeddings = false
            } else {
                state.remove(at: place)
            }
        }
        let tensors = state.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
        _ = try ShardedSafetensorsWriter.write(tensors, toFolder: output)
        try configuration.write(toFolder: output, format: configuration.originalFormat)
        return state.reduce(0) { $0 + $1.tensor.elementCount }
    }

    /// Copies files and folders.
    private func copy(_ folder: String, to output: String, where isIncluded: (String) -> Bool) throws {
        for name in try FilePath.names(inFolder: folder) where !name.hasPrefix(".") && isIncluded(name) {
            let path = FilePath.joined(folder, name)
            guard FilePath.kind(of: path) == .folder else {
                try ModelFolderFiles.copy([name], from: folder, to: output)
                continue
            }
            let part = FilePath.joined(output, name)
            try FilePath.makeFolder(part)
            try copy(path, to: part) { _ in true }
        }
    }

    private func card(named name: String, parameters: Int) throws -> ModelCard {
        var card = ModelCard(title: name)
        let base = configuration.baseModel.flatMap { $0.split(separator: "/").count == 2 ? $0 : nil }
        let isPath = base.map { name in
            ["/", ".", "~"].contains { name.hasPrefix($0) } || FilePath.kind(of: name) != .absent
        }
        if otherBase == nil, isPath == false { card.baseModel = base }
        card.summary =
            "A model of \(parameters) parameters: a base with a LoRA adapter of rank \(configuration.rank) merged into its "
            + "weights."
        return card
    }
}
