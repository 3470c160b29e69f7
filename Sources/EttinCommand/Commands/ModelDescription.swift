import EttinJSON
import EttinModel
import EttinTokenizer

/// What `ettin info` says about a model, for people and for programs.
struct ModelDescription {
    let summary: CheckpointSummary
    var tokenizer: Tokenizer?
    /// Maximum number of tokens by the tokenizer's files.
    var tokenizerLimit: Int?
    /// Why the tokenizer cannot be read; nil where it can, or is not there.
    var tokenizerObstacle: String?

    /// Sentences for standard error.
    var notices: [String] { summary.notices + (tokenizer?.notices ?? []) }

    /// Why the model cannot be run; nil when nothing is known to be in the way.
    private var obstacle: String? {
        let parts = [summary.obstacle, tokenizerObstacle].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    // MARK: - For people

    /// One fact a line, by its name.
    var lines: [String] {
        kindLines + moduleLines + textLines + trunkLines + fileLines
    }

    private static func line(_ name: String, _ text: String) -> String {
        name + String(repeating: " ", count: max(1, 13 - name.count)) + text
    }

    private var kindLines: [String] {
        var lines = [Self.line("kind", summary.kind?.rawValue ?? "not stated")]
        if let evidence = summary.evidence { lines.append(Self.line("told by", evidence.reason)) }
        if let obstacle {
            lines.append(Self.line("cannot run", obstacle.split(separator: "\n").joined(separator: "; ")))
        } else if let command = summary.kind?.command {
            let others = summary.kind == .multiVector ? ", ettin rerank" : ""
            lines.append(Self.line("run with", "ettin \(command)\(others)"))
        }
        if let kind = summary.configuration?.kind {
            lines.append(Self.line("architecture", "\(kind.name) (\(kind.rawValue))"))
        }
        if summary.configuration != nil {
            lines.append(Self.line("size", summary.size?.rawValue ?? "not one of the suite's"))
        }
        if let head = summary.head { lines.append(Self.line("head", head)) }
        if let labels = summary.labels {
            let shown = labels.prefix(12).joined(separator: ", ") + (labels.count > 12 ? ", …" : "")
            lines.append(Self.line("labels", "\(labels.count): \(shown)"))
        }
        if let type = problemType { lines.append(Self.line("problem type", type)) }
        if let pooling = classifierPooling { lines.append(Self.line("head pooling", pooling)) }
        if let activation { lines.append(Self.line("activation", activation)) }
        return lines
    }

    private var moduleLines: [String] {
        guard let modules = summary.modules else { return [] }
        func line(_ name: String, _ entry: ModuleListing.Entry) -> String {
            let settings = entry.settings.filter { Self.tells($0.key, $0.value) }
                .map { "\($0.key) \(Self.shown($0.value))" }.joined(separator: ", ")
            let text = entry.className + (entry.path.isEmpty ? "" : " (\(entry.path))")
            return Self.line(name, settings.isEmpty ? text : "\(text): \(settings)")
        }
        return modules.entries.enumerated().flatMap { index, entry -> [String] in
            guard entry.className == "Router" || entry.className == "Asym" else {
                return [line("module \(index)", entry)]
            }
            let route = (modules.router?["parameters"]?["default_route"]?.stringValue).map { ", default \($0)" } ?? ""
            return [Self.line("module \(index)", entry.className + route)]
                + modules.routed.map { line("route \($0.route ?? "")", $0) }
        }
    }

    private var textLines: [String] {
        var lines: [String] = []
        if !summary.poolings.isEmpty { lines.append(Self.line("pooling", summary.poolings.joined(separator: ", "))) }
        if let settings = summary.settings {
            for (name, text) in settings.prompts.sorted(by: { $0.key < $1.key }) {
                let isDefault = name == settings.defaultPromptName ? " (default)" : ""
                lines.append(Self.line("prompt", "\(name): \(JSONValue.string(text).text())\(isDefault)"))
            }
            lines += retrievalLines
            if let size = settings.truncateDimension { lines.append(Self.line("truncated to", "\(size) dimensions")) }
            let rule =
                settings.generation == .version5 ? "without blanks around them, as versions up to 5" : "as they are"
            lines.append(Self.line("reads texts", rule))
        } else {
            lines += retrievalLines
        }
        for (name, value) in lengths { lines.append(Self.line(name, "\(value) tokens")) }
        return lines
    }

    private var retrievalLines: [String] {
        var lines = prefixes.map { Self.line("prefix", "\($0): \(JSONValue.string($1).text())") }
        if let similarity { lines.append(Self.line("similarity", similarity)) }
        if let expansion = summary.multiVector?.expansion {
            let least = expansion.strategy == .min ? "at least " : ""
            let token = expansion.token.map { JSONValue.string($0).text() } ?? "the mask token"
            let attention = expansion.isAttendedTo ? "attended to" : "not attended to"
            lines.append(Self.line("expansion", "to \(least)\(expansion.length) tokens, by \(token), \(attention)"))
        }
        return lines
    }

    private var trunkLines: [String] {
        let embedding = summary.embeddingParameterCount
        if summary.parameterCount == 0 { return [] }
        var lines = [
            Self.line(
                "parameters",
                embedding == 0
                    ? "\(summary.parameterCount)"
                    : "\(summary.parameterCount): \(embedding) in the embedding, \(summary.nonEmbeddingParameterCount) others"
            )
        ]
        guard let configuration = summary.configuration else { return lines }
        for type in LayerType.allCases {
            let numbers = configuration.layerTypes.enumerated().filter { $0.element == type }.map(\.offset)
            guard let first = numbers.first else { continue }
            let list = numbers.map(String.init).joined(separator: " ")
            lines.append(
                Self.line("layers", "\(numbers.count) \(type.rawValue) (\(list)), \(Self.window(configuration, first))")
            )
        }
        lines.append(Self.line("hidden size", "\(configuration.hiddenSize), MLP \(configuration.intermediateSize)"))
        lines.append(Self.line("heads", "\(configuration.attentionHeads) of width \(configuration.headDimensions)"))
        lines.append(Self.line("context", "\(configuration.maxPositionEmbeddings) tokens"))
        lines.append(Self.line("vocabulary", "\(configuration.vocabularySize) rows"))
        return lines
    }

    private var fileLines: [String] {
        var lines: [String] = []
        if let tokenizer {
            let special = tokenizer.addedTokens.filter(\.token.isSpecial).map(\.token.content)
            let shown = special.prefix(8).joined(separator: " ") + (special.count > 8 ? " …" : "")
            lines.append(Self.line("tokenizer", "\(tokenizer.vocabularySize) tokens, special: \(shown)"))
        }
        let names = summary.dtypes.map(\.rawValue).joined(separator: ", ")
        lines.append(Self.line("weights", summary.hasWeights ? names : "none"))
        return lines + summary.files.map { Self.line("file", "\($0.name) (\($0.byteCount) bytes)") }
    }

    private static func window(_ configuration: ModernBERTConfiguration, _ layer: Int) -> String {
        let window = configuration.window(layer: layer)
        let left = window.left.map { "\($0)" } ?? "all"
        let right = window.right.map { "\($0)" } ?? "all"
        return "sees \(left) tokens before and \(right) after, rope theta \(configuration.ropeTheta(layer: layer))"
    }

    /// Whether people need to know a module's setting: not flags that are off, nor how Python calls the model.
    private static func tells(_ key: String, _ value: JSONValue) -> Bool {
        !value.isNull && key != "modality_config" && !(key.hasPrefix("pooling_mode_") && value == false)
    }

    /// A value of a module's settings in few words.
    private static func shown(_ value: JSONValue) -> String {
        switch value {
        // The class of an activation, without the path to it.
        case .string(let text): text.hasPrefix("torch.") ? String(text.split(separator: ".").last ?? "") : text
        case .array(let items) where items.count > 4: "\(items.count) values"
        default: value.text()
        }
    }

    // MARK: - Parts of both

    private var problemType: String? {
        summary.labels == nil ? nil : summary.configuration?.problemType?.rawValue
    }

    /// How an encoder's classifier of sequences pools; a decoder takes the last token.
    private var classifierPooling: String? {
        guard summary.head == "sequence-classification", let configuration = summary.configuration else { return nil }
        return configuration.kind == .encoder ? configuration.classifierPooling.rawValue : Pooling.lastToken.rawValue
    }

    /// What scores go through, by the class in torch.
    private var activation: String? {
        let keys = summary.configuration?.otherKeys
        let path =
            summary.settingsObject["activation_fn"] ?? keys?["sentence_transformers"]?["activation_fn"]
            ?? keys?["sbert_ce_default_activation_function"]
        return path?.stringValue.map { String($0.split(separator: ".").last ?? "") }
    }

    private var prefixes: [(String, String)] {
        guard let settings = summary.multiVector else { return [] }
        return [("query", settings.queryPrefix), ("document", settings.documentPrefix)].filter { !$0.1.isEmpty }
    }

    private var similarity: String? {
        if let name = summary.settingsObject["similarity_fn_name"]?.stringValue { return name }
        switch summary.kind {
        case .embedding: return summary.settings?.similarity.rawValue
        case .sparse: return EmbeddingSimilarity.dot.rawValue
        case .multiVector: return "MaxSim"
        default: return nil
        }
    }

    private var lengths: [(name: String, value: Int)] {
        [
            ("max length", maxLength),
            ("query length", summary.multiVector?.queryLength ?? summary.multiVector?.expansion?.length),
            ("document length", summary.multiVector?.documentLength),
        ].compactMap { name, value in value.map { (name, $0) } }
    }

    /// The lowest of what settings, tokenizer and configuration allow.
    private var maxLength: Int? {
        [
            summary.modules?.transformer?.settings["max_seq_length"]?.intValue, tokenizerLimit,
            summary.configuration?.maxPositionEmbeddings,
        ].compactMap(\.self).min()
    }

    // MARK: - For programs

    /// All facts, by the field's own names.
    var document: JSONValue {
        let configuration = summary.configuration
        let layers = configuration?.layerTypes.enumerated().map { layer, type -> JSONValue in
            let window = configuration?.window(layer: layer)
            return [
                "type": .string(type.rawValue),
                "left": window?.left.map { JSONValue($0) } ?? .null,
                "right": window?.right.map { JSONValue($0) } ?? .null,
                "rope_theta": (configuration?.ropeTheta(layer: layer)).map { JSONValue($0) } ?? .null,
            ]
        }
        func number(_ value: Int?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
        func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
        return [
            "kind": text(summary.kind?.rawValue),
            "evidence": text(summary.evidence?.reason),
            "command": text(obstacle == nil ? summary.kind?.command : nil),
            "obstacle": text(obstacle),
            "architecture": text(configuration?.kind.name),
            "model_type": text(configuration?.kind.rawValue),
            "architectures": .array(configuration?.architectures.map(JSONValue.string) ?? []),
            "size": text(summary.size?.rawValue),
            "head": text(summary.head),
            "labels": summary.labels.map { .array($0.map(JSONValue.string)) } ?? .null,
            "problem_type": text(problemType),
            "classifier_pooling": text(classifierPooling),
            "activation_fn": text(activation),
            "modules": modules,
            "pooling": .array(summary.poolings.map(JSONValue.string)),
            "prompts": .object(
                JSONObject(
                    summary.settings?.prompts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) } ?? []
                )
            ),
            "default_prompt_name": text(summary.settings?.defaultPromptName),
            "query_prefix": text(summary.multiVector?.queryPrefix),
            "document_prefix": text(summary.multiVector?.documentPrefix),
            "query_expansion": expansion,
            "similarity_fn_name": text(similarity),
            "truncate_dim": number(summary.settings?.truncateDimension),
            "text_rules": text(summary.settings?.generation.rawValue),
            "max_seq_length": number(lengths.first { $0.name == "max length" }?.value),
            "query_length": number(lengths.first { $0.name == "query length" }?.value),
            "document_length": number(lengths.first { $0.name == "document length" }?.value),
            "parameters": JSONValue(summary.parameterCount),
            "embedding_parameters": JSONValue(summary.embeddingParameterCount),
            "non_embedding_parameters": JSONValue(summary.nonEmbeddingParameterCount),
            "hidden_size": number(configuration?.hiddenSize),
            "intermediate_size": number(configuration?.intermediateSize),
            "num_attention_heads": number(configuration?.attentionHeads),
            "max_position_embeddings": number(configuration?.maxPositionEmbeddings),
            "vocab_size": number(configuration?.vocabularySize),
            "layers": .array(layers ?? []),
            "dtypes": .array(summary.dtypes.map { .string($0.rawValue) }),
            "files": .array(
                summary.files.map { ["name": .string($0.name), "bytes": JSONValue($0.byteCount)] }
            ),
            "tokenizer": tokenizer.map(document(of:)) ?? .null,
        ]
    }

    private var expansion: JSONValue {
        guard let expansion = summary.multiVector?.expansion else { return .null }
        return [
            "strategy": .string(expansion.strategy.rawValue), "length": JSONValue(expansion.length),
            "attend": .bool(expansion.isAttendedTo), "token": expansion.token.map(JSONValue.string) ?? .null,
        ]
    }

    private var modules: JSONValue {
        guard let modules = summary.modules else { return .array([]) }
        let all = modules.entries + modules.routed
        return .array(
            all.map { entry -> JSONValue in
                [
                    "type": .string(entry.type), "path": .string(entry.path),
                    "route": entry.route.map(JSONValue.string) ?? .null, "settings": .object(entry.settings),
                ]
            }
        )
    }

    private func document(of tokenizer: Tokenizer) -> JSONValue {
        let special = tokenizer.addedTokens.filter(\.token.isSpecial)
        return [
            "vocabulary_size": JSONValue(tokenizer.vocabularySize),
            "model_max_length": tokenizer.modelMaxLength.map { JSONValue($0) } ?? .null,
            "special_tokens": .object(JSONObject(special.map { ($0.token.content, JSONValue(Int($0.id))) })),
        ]
    }
}
