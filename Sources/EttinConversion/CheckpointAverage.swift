import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// The mean of several checkpoints of one run.
///
/// Each value is summed in float64, in the order of the folders' names by bytes whatever order they are given in, then
/// divided and rounded once to float32: the result does not depend on the order of the arguments.
///
/// ```swift
/// try CheckpointAverage(["run/step800", "run/step900", "run/step1000"]).write(toFolder: "averaged")
/// ```
public struct CheckpointAverage {
    /// The folders in the order in which they are summed.
    package let folders: [String]
    /// The folder given last, whose tokenizer and settings the average gets.
    private let last: String
    private var configuration: ModernBERTConfiguration
    private let stores: [TensorStore]
    private let names: [String]

    /// Opens checkpoints and compares their shapes.
    ///
    /// - Parameter folders: Two or more model folders; tokenizer and settings are those of the last.
    /// - Throws: `TrainingError` for fewer folders, the same one twice, and models of different shapes; `CheckpointError`
    ///   for broken files.
    public init(_ folders: [String]) throws {
        guard folders.count >= 2, let last = folders.last else {
            throw TrainingError(
                .invalidOption,
                "average",
                found: "was given \(folders.count) folder\(folders.count == 1 ? "" : "s")",
                expected: "two or more checkpoints"
            )
        }
        let sorted = folders.sorted { ExactName($0) < ExactName($1) }
        if let twice = zip(sorted, sorted.dropFirst()).first(where: ==) {
            throw TrainingError(.invalidOption, twice.0, found: "is given twice", expected: "each checkpoint once")
        }
        for folder in sorted { try FolderEvidence.requireNoModules(folder: folder) }
        self.folders = sorted
        self.last = last
        configuration = try ModernBERTConfiguration(folder: last)
        stores = try sorted.map { try TensorStore.open(folder: $0) }
        let stated = configuration
        // A head that one of them has trained apart is averaged, not dropped.
        if try stores.contains(where: { try $0.ownsOutputMatrix() }) { configuration.tiesWordEmbeddings = false }
        names = Self.names(of: stores[0], configuration)
        for (folder, store) in zip(sorted, stores) {
            try Self.compare(ModernBERTConfiguration(folder: folder), stated, folder, last)
            try Self.compare(store, with: stores[0], names, configuration, folder, sorted[0])
        }
    }

    /// Writes the mean as a model's folder, which appears complete or not at all.
    ///
    /// - Parameter output: A folder that is empty or does not exist yet.
    /// - Returns: The number of parameters.
    /// - Throws: `CheckpointError` for weights that hold NaN or infinity and for failures of the file system; `TorchError`
    ///   when memory runs out.
    @discardableResult
    public func write(toFolder output: String) throws -> Int {
        let target = try CheckpointError.translating { try AtomicFolder(path: output) }
        for (folder, store) in zip(folders, stores) { try store.requireFiniteValues(folder: folder) }
        let tensors = names.map { name in
            let shape = stores[0].descriptor(name)?.shape ?? []
            return TensorToWrite(name: name, dtype: .float32, shape: shape) { sink in
                let values: [Float] = try withRecovery { try mean(of: name).array() }
                try values.withUnsafeBytes(sink)
            }
        }
        try ShardedSafetensorsWriter.write(tensors, toFolder: target.temporaryPath)
        var written = configuration
        written.dtype = "float32"
        try written.write(toFolder: target.temporaryPath, format: configuration.originalFormat)
        try ModelFolderFiles.copySettings(from: last, to: target.temporaryPath)
        let parameters = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        try card(named: FilePath.lastComponent(of: target.path), parameters: parameters)
            .write(toFolder: target.temporaryPath)
        try CheckpointError.translating { try target.commit() }
        return parameters
    }

    private func mean(of name: String) throws -> Tensor {
        var sum: Tensor?
        for store in stores {
            let values = try store.tensor(name).to(.float64)
            sum = sum.map { $0 + values } ?? values
        }
        return ((sum ?? .zeros([0], .float64)) / Double(stores.count)).to(.float32)
    }

    private func card(named name: String, parameters: Int) -> ModelCard {
        var card = ModelCard(title: name)
        let kind = configuration.kind == .encoder ? "encoder" : "decoder"
        card.summary = "A ModernBERT \(kind) of \(parameters) parameters: the mean of \(folders.count) checkpoints."
        card.pipelineTag = configuration.kind == .encoder ? "fill-mask" : "text-generation"
        card.recipe = [.init("averaged", folders.map { FilePath.lastComponent(of: $0) }.joined(separator: ", "))]
        return card
    }

    // MARK: - Comparison

    /// The tensors of a folder; a tied output matrix, which some writers store too, is the embedding.
    private static func names(of store: TensorStore, _ configuration: ModernBERTConfiguration) -> [String] {
        store.names.filter { !configuration.tiesWordEmbeddings || $0 != "decoder.weight" }
    }

    private static func compare(
        _ configuration: ModernBERTConfiguration,
        _ other: ModernBERTConfiguration,
        _ folder: String,
        _ otherFolder: String
    ) throws {
        func shape(_ configuration: ModernBERTConfiguration) -> ModernBERTConfiguration {
            var shape = configuration
            (shape.dtype, shape.architectures, shape.otherKeys) = (nil, [], [:])
            return shape
        }
        guard shape(configuration) != shape(other) else { return }
        throw TrainingError(
            .invalidOption,
            folder,
            found: "has a different config.json from \(otherFolder)",
            expected: "checkpoints of one run"
        )
    }

    private static func compare(
        _ store: TensorStore,
        with first: TensorStore,
        _ firstNames: [String],
        _ configuration: ModernBERTConfiguration,
        _ folder: String,
        _ firstFolder: String
    ) throws {
        func refused(_ found: String, _ expected: String) -> TrainingError {
            TrainingError(.invalidOption, folder, found: found, expected: expected)
        }
        let known = Set(firstNames)
        if let name = names(of: store, configuration).first(where: { !known.contains($0) }) {
            throw refused("has \(name)", "the tensors of \(firstFolder), which lacks it")
        }
        for name in firstNames {
            guard let tensor = store.descriptor(name), let other = first.descriptor(name) else {
                throw refused("lacks \(name)", "the tensors of \(firstFolder)")
            }
            guard tensor.shape == other.shape else {
                throw refused("has \(name) of shape \(tensor.shape)", "\(other.shape) as in \(firstFolder)")
            }
        }
    }
}
