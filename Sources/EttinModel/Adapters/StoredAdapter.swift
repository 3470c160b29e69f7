import EttinFiles
import EttinJSON
package import Torch

/// An adapter in its files, as changes to the tensors of a checkpoint.
package struct StoredAdapter {
    /// The dtype that merged weights get; nil for that of the checkpoint.
    package var dtype: DType?
    private let configuration: LoRAConfiguration
    private let folder: String
    private let base: String
    /// Whether products are added to weights, or only tensors taken over that are stored whole.
    private let isMerged: Bool
    private let state: StateDictionary

    /// Reads the adapter of a folder that ``AdapterFolder`` has opened; nil for any other folder.
    ///
    /// - Parameter folder: The folder of a model.
    /// - Throws: `CheckpointError` for an adapter that is broken or not supported.
    package init?(openedFolder folder: String) throws {
        guard let opened = try AdapterFolder.Opened(folder: folder) else { return nil }
        self.folder = opened.adapter
        base = opened.base
        isMerged = opened.isMerged
        configuration = try LoRAConfiguration(folder: opened.adapter)
        state = try AdapterFolder.weights(of: opened.adapter).stateDictionary()
    }

    // MARK: Merging

    /// A pair of matrices, with the lengths of rows where they are learned.
    private struct Product {
        var down: Tensor?
        var up: Tensor?
        var magnitude: Tensor?
    }

    /// The tensors of a checkpoint with what the adapter changes.
    ///
    /// - Parameter stored: The tensors of the base, under the names of its files.
    /// - Returns: The same names, and those of heads that only the adapter has.
    /// - Throws: `CheckpointError` for a base that the adapter does not fit.
    package func merged(into stored: StateDictionary) throws -> StateDictionary {
        var result = stored
        let places = Dictionary(stored.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
        var products: [(module: String, product: Product)] = []
        var numbers: [String: Int] = [:]
        for (key, tensor) in state {
            let name = try moduleName(key)
            guard let (module, part) = Self.split(name) else {
                try replace(name, by: tensor, in: &result, places)
                continue
            }
            let number = numbers[module] ?? products.count
            if number == products.count { products.append((module, Product())) }
            numbers[module] = number
            products[number].product[keyPath: part] = tensor
        }
        try requireComplete(Set(products.map(\.module)), in: stored)
        keepOutput(of: stored, in: &result, places)
        let hasOwnHead = places["classifier.weight"] == nil && result.contains { $0.key == "classifier.weight" }
        if isMerged { try merge(products, into: &result, places) }
        // Last, as places are counted from the first tensor.
        if hasOwnHead { Self.removeOutput(from: &result) }
        return result
    }

    /// Adds products to the weights that they change.
    private func merge(
        _ products: [(module: String, product: Product)],
        into state: inout StateDictionary,
        _ places: [String: Int]
    ) throws {
        let ranks = try PatternValues(configuration.rankPattern, key: "rank_pattern", file: folder)
        let alphas = try PatternValues(configuration.alphaPattern, key: "alpha_pattern", file: folder)
        for (module, product) in products {
            let rank = ranks[module] ?? configuration.rank
            let scale = configuration.scale(rank: rank, alpha: alphas[module] ?? configuration.alpha)
            let place = try place(of: module + ".weight", places)
            state[place].tensor = try merged(product, into: state[place].tensor, module, rank: rank, scale: scale)
        }
    }

    private func merged(
        _ product: Product,
        into weight: Tensor,
        _ module: String,
        rank: Int,
        scale: Double
    ) throws -> Tensor {
        guard let down = product.down, let up = product.up else {
            throw problem("lacks one of lora_A and lora_B of \(quoted(module))", "both")
        }
        guard down.rank == 2, up.rank == 2, weight.rank == 2, down.size(0) == rank, up.size(1) == rank else {
            throw problem(
                "has matrices \(spelled(down.shape)) and \(spelled(up.shape)) for \(quoted(module))",
                "the rank \(rank), as \(LoRAConfiguration.file) says"
            )
        }
        guard down.size(1) == weight.size(1), up.size(0) == weight.size(0) else {
            throw misfit(
                "changes \(quoted(module)) from \(down.size(1)) to \(up.size(0)) values",
                "has it from \(weight.size(1)) to \(weight.size(0))"
            )
        }
        guard configuration.usesDecomposition == (product.magnitude != nil),
            product.magnitude.map({ $0.elementCount == up.size(0) }) ?? true
        else {
            throw problem(
                "has \(product.magnitude.map { "a magnitude \(spelled($0.shape))" } ?? "no magnitude") for "
                    + quoted(module),
                configuration.usesDecomposition ? "one of each row, as \"use_dora\" says" : "none without \"use_dora\""
            )
        }
        return withoutGradients {
            let adapter = LowRankAdapter(down.size(1), up.size(0), rank: rank, scale: scale)
            (adapter.down, adapter.up) = (down.to(.float32), up.to(.float32))
            adapter.magnitude = product.magnitude.map { $0.to(.float32).reshaped(-1) }
            return adapter.adapting(weight: weight.to(.float32)).to(dtype ?? weight.dtype)
        }
    }

    /// Whether a language model's output matrix differs from its embedding.
    ///
    /// - Parameter state: The tensors of the model, under our own names or those of files.
    /// - Returns: Whether it does.
    /// - Throws: `TorchError` when reading them fails.
    package func ownsOutputMatrix(in state: StateDictionary) throws -> Bool {
        guard let output = state.first(where: { $0.key == "decoder.weight" })?.tensor,
            let embedding = state.first(where: { $0.key.hasSuffix(AttachedLoRA.embeddingKey) })?.tensor
        else { return false }
        return try output.shape != embedding.shape || !output.isEqual(to: embedding)
    }

    /// Refuses an adapter without matrices of layers, or modules stored whole, that its configuration names and the base
    /// has: what a file lacks would pass for what was not trained.
    private func requireComplete(_ given: Set<String>, in stored: StateDictionary) throws {
        guard !state.isEmpty else { throw problem("has no tensors", "those of an adapter") }
        func has(_ key: String, _ module: String) -> Bool { ("." + key).contains("." + module + ".") }
        for name in configuration.modulesToSave where stored.contains(where: { has($0.key, name) }) {
            guard state.contains(where: { has($0.key, name) }) else {
                throw problem("lacks the module \(quoted(name, limit: 80))", "it, as \"modules_to_save\" says")
            }
        }
        // Layers that are named one by one or left out are not counted.
        guard case .names(let names)? = configuration.targets, configuration.layers == nil,
            configuration.excluded == nil
        else { return }
        let prefix = "model."
        let known = Set(given.map { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 })
        for (key, tensor) in stored where key.hasSuffix(".weight") && tensor.rank == 2 {
            let path = key.hasPrefix(prefix) ? key.dropFirst(prefix.count) : key[...]
            let module = String(path.dropLast(".weight".count))
            guard module.hasPrefix("layers."), !known.contains(module) else { continue }
            guard names.contains(where: { ModuleSelection.matches(prefix + module, $0) }) else { continue }
            guard !configuration.modulesToSave.contains(where: { has(prefix + module + ".", $0) }) else { continue }
            throw problem("lacks the matrices of \(quoted(module))", "them, as \"target_modules\" says")
        }
    }

    // MARK: Names

    private func moduleName(_ key: String) throws -> String {
        guard key.hasPrefix(AttachedLoRA.prefix) else {
            throw problem("has the tensor \(quoted(key))", "names that begin with \(AttachedLoRA.prefix)")
        }
        let name = String(key.dropFirst(AttachedLoRA.prefix.count))
        guard !name.contains(".lora_embedding_") else {
            throw problem(
                "has the tensor \(quoted(key))",
                "adapters of linear layers; those of embeddings are not read"
            )
        }
        return name
    }

    private static func split(_ name: String) -> (module: String, part: WritableKeyPath<Product, Tensor?>)? {
        let parts: [(String, WritableKeyPath<Product, Tensor?>)] = [
            (".lora_A.weight", \.down), (".lora_B.weight", \.up), (".lora_magnitude_vector", \.magnitude),
            (".lora_magnitude_vector.weight", \.magnitude),
        ]
        return parts.first { name.hasSuffix($0.0) }.map { (String(name.dropLast($0.0.count)), $0.1) }
    }

    /// Where the base has a tensor: a trunk alone has no `model.` in front, and a trunk is part of any model.
    private func place(_ name: String, _ places: [String: Int]) -> Int? {
        let prefix = "model."
        return places[name] ?? places[prefix + name]
            ?? (name.hasPrefix(prefix) ? places[String(name.dropFirst(prefix.count))] : nil)
    }

    private func place(of name: String, _ places: [String: Int]) throws -> Int {
        if let place = place(name, places) { return place }
        throw misfit("changes \(quoted(name))", "has no such tensor")
    }

    /// Takes a tensor that is stored whole; a head may be the adapter's alone, and a vocabulary of another size.
    private func replace(
        _ name: String,
        by tensor: Tensor,
        in state: inout StateDictionary,
        _ places: [String: Int]
    ) throws {
        let isHead = ["head.", "lm_head.", "decoder.", "classifier."].contains { name.hasPrefix($0) }
        guard let place = place(name, places) else {
            guard isHead else { throw misfit("has \(quoted(name))", "has no such tensor") }
            // A model has one dtype; that of a base in half precision is not the adapter's.
            let trunk = state.first { $0.key.hasSuffix(AttachedLoRA.embeddingKey) }?.tensor.dtype
            return state.append((name, tensor.to(dtype ?? trunk ?? tensor.dtype)))
        }
        let old = state[place].tensor
        let isResizable = isHead || name.hasSuffix(AttachedLoRA.embeddingKey)
        guard tensor.rank == old.rank, tensor.shape.dropFirst() == old.shape.dropFirst(),
            isResizable || tensor.shape == old.shape
        else {
            throw misfit("has \(quoted(name)) of shape \(spelled(tensor.shape))", "has it of \(spelled(old.shape))")
        }
        state[place].tensor = tensor.to(dtype ?? old.dtype)
    }

    /// Keeps the output matrix of a tied base whose embedding alone was trained: PEFT trains it apart.
    private func keepOutput(of stored: StateDictionary, in state: inout StateDictionary, _ places: [String: Int]) {
        let output = "decoder.weight"
        guard !state.contains(where: { $0.key == output }), places["decoder.bias"] != nil,
            self.state.contains(where: { $0.key.hasSuffix(AttachedLoRA.embeddingKey) }),
            let place = stored.firstIndex(where: { $0.key.hasSuffix(AttachedLoRA.embeddingKey) }),
            state[place].tensor.shape == stored[place].tensor.shape
        else { return }
        state.append((output, stored[place].tensor.to(state[place].tensor.dtype)))
    }

    /// Drops the output layer of a language model that the adapter makes a classifier of.
    private static func removeOutput(from state: inout StateDictionary) {
        state.removeAll { $0.key.hasPrefix("decoder.") || $0.key.hasPrefix("lm_head.") }
    }

    // MARK: Errors

    private func problem(_ found: String, _ expected: String) -> CheckpointError {
        CheckpointError(
            .malformed,
            file: FilePath.joined(folder, AttachedLoRA.weightsFile),
            found: found,
            expected: expected
        )
    }

    /// The refusal of a base that is not the adapter's.
    private func misfit(_ adapter: String, _ model: String) -> CheckpointError {
        CheckpointError(
            .unsupported,
            file: folder,
            found: "\(adapter), but the base \(quoted(base, limit: 160)) \(model)",
            expected: "the model that the adapter was trained on (\"base_model_name_or_path\" or `ettin merge --base`)"
        )
    }
}
