import EttinFiles
import EttinJSON

/// Which files of a repository make a model, and which of them are weights.
///
/// Weights exist in several forms side by side; one is enough: safetensors before pickles, one file before shards.
struct ModelFiles: Sendable, Hashable {
    /// Where the weights are.
    enum Weights: Sendable, Hashable {
        case single(String)
        /// An index, which names the shards.
        case sharded(index: String)
    }

    /// Configuration, tokenizer and the like.
    let companions: [String]
    let weights: Weights?

    private static let companionNames: Set<String> = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "modules.json", "config_sentence_transformers.json",
        "sentence_bert_config.json", "router_config.json", "adapter_config.json", "adapter_model.safetensors",
        "adapted_config.json",
    ]
    private static let weightForms: [(name: String, isIndex: Bool)] = [
        ("model.safetensors", false), ("model.safetensors.index.json", true),
        ("pytorch_model.bin", false), ("pytorch_model.bin.index.json", true),
    ]

    init(available: [String]) {
        let names = Set(available)
        let form = Self.weightForms.first { names.contains($0.name) }
        weights = form.map { $0.isIndex ? .sharded(index: $0.name) : .single($0.name) }
        companions = available.filter { path in
            Self.companionNames.contains(path) || Self.isModulePart(path, available: names)
                || path == "adapter_model.bin" && !names.contains("adapter_model.safetensors")
        }
    }

    /// Whether something can be loaded: a model at the top, modules in folders that have the weights, or an adapter.
    var isModel: Bool {
        companions.contains("config.json") || companions.contains("modules.json") || isAdapter
    }

    /// Whether there are changes to the weights of another model alone.
    private var isAdapter: Bool { weights == nil && companions.contains("adapter_config.json") }

    /// Whether there are weights, at the top or in the folder of a module.
    var hasWeights: Bool {
        weights != nil || isAdapter
            || (companions.contains("modules.json") && companions.contains(where: Self.isModuleWeights))
    }

    /// The files of sentence-transformers modules, in folders such as `1_Pooling` and, of a Router,
    /// `query_0_Transformer`, which can have weights and tokenizers of their own.
    private static func isModulePart(_ path: String, available: Set<String>) -> Bool {
        let parts = path.split(separator: "/")
        guard parts.count == 2, parts[0].split(separator: "_").dropLast().contains(where: { Int($0) != nil })
        else { return false }
        switch parts[1] {
        case "model.safetensors": return true
        case "pytorch_model.bin": return !available.contains("\(parts[0])/model.safetensors")
        default: return companionNames.contains(String(parts[1]))
        }
    }

    private static func isModuleWeights(_ path: String) -> Bool {
        path.contains("/") && (path.hasSuffix("/model.safetensors") || path.hasSuffix("/pytorch_model.bin"))
    }

    /// The shards that an index names.
    static func shards(inIndexAt path: String, of repository: HubRepository) throws -> [String] {
        let map: JSONObject
        do {
            let index = try JSONValue(parsing: try HubError.translating { try OpenFile.contents(of: path) })
            guard let object = index["weight_map"]?.objectValue else {
                throw HubError.file(path: path, reason: "it has no object \"weight_map\"")
            }
            map = object
        } catch let error as JSONError {
            throw HubError.file(path: path, reason: "it is not JSON: \(error)")
        }
        let shards = try map.members.map { member in
            guard let shard = member.value.stringValue else {
                throw HubError.file(path: path, reason: "\(quoted(member.key)) is not mapped to a file name")
            }
            return try RepositoryPath(shard, in: repository).text
        }
        return Set(shards).sorted()
    }
}
