import EttinFiles
import EttinJSON

/// How a query is made longer by tokens that stand for nothing, whose vectors count all the same.
public struct QueryExpansion: Sendable, Hashable {
    /// What becomes of queries that are longer.
    public enum Strategy: String, Sendable, Hashable, CaseIterable {
        /// Every query has exactly the length; longer ones are truncated.
        case fixed
        /// The length is the least; longer queries stay as they are.
        case min
    }

    /// What becomes of queries that are longer.
    public var strategy: Strategy
    /// The number of tokens of an expanded query, special tokens included.
    public var length: Int
    /// Whether the added tokens are attended to; they always attend to the others.
    public var isAttendedTo: Bool
    /// The token that is added; nil for the tokenizer's mask token, or its end token where it has no mask.
    public var token: String?

    /// Creates an expansion.
    ///
    /// - Parameters:
    ///   - strategy: What becomes of queries that are longer.
    ///   - length: The number of tokens of an expanded query.
    ///   - isAttendedTo: Whether the added tokens are attended to.
    ///   - token: The token that is added; nil for the tokenizer's mask token.
    public init(strategy: Strategy = .fixed, length: Int = 32, isAttendedTo: Bool = false, token: String? = nil) {
        self.strategy = strategy
        self.length = length
        self.isAttendedTo = isAttendedTo
        self.token = token
    }

    /// Reads `query_expansion` of sentence-transformers 6.
    init(_ object: JSONObject, file: String) throws {
        var fields = ConfigurationFields(object, file: "\(file): \"query_expansion\"")
        self.init(length: 0)
        fields.read("strategy", into: &strategy, named: Strategy.init(rawValue:))
        if object["strategy"] == nil { fields.refuse("strategy", "is not there", expected: "\"fixed\" or \"min\"") }
        if object["attend"]?.isNull != true { fields.read("attend", into: &isAttendedTo) }
        fields.read("token", into: &token)
        fields.read("length", into: &length)
        if object["length"] == nil {
            fields.refuse("length", "is not there", expected: "a number of tokens, mostly 32")
        } else if !(1...ConfigurationLimits.width).contains(length), fields.problems.isEmpty {
            fields.refuse("length", "is \(length)", expected: "1 to \(ConfigurationLimits.width)")
        }
        if let key = fields.unused.first?.key {
            fields.refuse(key, "is not known", expected: "strategy, attend, token, length", kind: .unsupported)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }
}

/// What a multi-vector model's folder says about queries, documents and their scores.
///
/// > Source: PyLate 1.6 `models/colbert.py`; sentence-transformers 6.2 `multi_vector_encoder/model.py`.
public struct MultiVectorSettings: Sendable, Hashable {
    /// Who wrote the folder, and so whose rules hold.
    public enum Layout: Sendable, Hashable {
        /// PyLate: prefix tokens are put behind the first token, and white space around texts is left out.
        case pylate
        /// sentence-transformers 6: prompts in front of texts as they are.
        case sentenceTransformers
        /// Stanford's ColBERT, with a projection among the transformer's weights.
        case stanford
    }

    /// Who wrote the folder.
    public var layout = Layout.sentenceTransformers
    /// Texts put before an input, by name.
    public var prompts: [String: String] = [:]
    /// The prompt that is used for texts that are neither query nor document, in PyLate for all; nil for none.
    public var defaultPromptName: String?
    /// What precedes the text of a query, as one token where the tokenizer has it; empty for nothing.
    public var queryPrefix = ""
    /// What precedes the text of a document, as one token where the tokenizer has it; empty for nothing.
    public var documentPrefix = ""
    /// Maximum number of tokens of a query; nil where only the model limits it.
    public var queryLength: Int?
    /// Maximum number of tokens of a document; nil where only the model limits it.
    public var documentLength: Int?
    /// How queries are made longer; nil for not at all.
    public var expansion: QueryExpansion?
    /// Whether a score is divided by the number of the query's vectors; `meanmaxsim`.
    public var averagesScores = false
    /// Whether the prefixes were named by the folder; those of the defaults apply where the tokenizer has them.
    package var namesPrefixes = true
    /// The words whose tokens are left out of documents, where no module says so; nil for none.
    package var skippedWords: [String]?
    /// What the files say that has no effect, a sentence each.
    package var notices: [String] = []

    /// Creates the settings of a folder that has none.
    public init() {}

    /// The characters of ASCII punctuation, which ColBERT leaves out of documents.
    package static let punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".map(String.init)

    /// Reads the settings of a folder without its weights.
    ///
    /// - Parameter folder: A multi-vector model.
    /// - Throws: `CheckpointError` with everything that is wrong.
    package init(folder: String) throws {
        guard let modules = try ModuleListing(folder: folder) else {
            try self.init(stanford: folder)
            return
        }
        let first = modules.transformer
        let files = FeatureModuleFolder(model: folder, name: first?.path ?? "", type: first?.type ?? "")
        try self.init(folder: folder, transformer: TransformerSettings(files))
    }

    /// Reads the settings of a folder with modules.
    ///
    /// - Parameters:
    ///   - folder: A folder with `modules.json`.
    ///   - transformer: What the Transformer's own file says.
    /// - Throws: `CheckpointError` with everything that is wrong.
    init(folder: String, transformer: TransformerSettings) throws {
        var (common, fields) = try EmbeddingSettings.read(folder: folder)
        prompts = common.prompts
        defaultPromptName = common.defaultPromptName
        switch fields.object["similarity_fn_name"]?.stringValue?.lowercased() {
        case nil, "maxsim": break
        case "meanmaxsim": averagesScores = true
        case let name?:
            notices.append("\(fields.file): no effect of \"similarity_fn_name\", which is \(quoted(name, limit: 40))")
        }
        if fields.object["model_type"]?.stringValue == "MultiVectorEncoder" {
            (queryLength, documentLength) = (transformer.queryLength, transformer.documentLength)
            expansion = try transformer.queryExpansion.map { try QueryExpansion($0, file: TransformerSettings.file) }
            if let expansion, let queryLength, queryLength < expansion.length {
                throw CheckpointError(
                    .malformed,
                    file: TransformerSettings.file,
                    item: "query_length",
                    found: "is \(queryLength)",
                    expected: "at least the \(expansion.length) tokens of \"query_expansion\""
                )
            }
        } else {
            try readPyLate(&fields)
        }
        common.note(&fields, inert: [])
        notices += common.notices
    }

    /// Where the folder limits the tokens of a query or a document.
    ///
    /// - Parameter isQuery: Whether a query is meant.
    /// - Returns: The file and its key.
    package func lengthKey(isQuery: Bool) -> (file: String, key: String) {
        switch layout {
        case .pylate: return (EmbeddingSettings.file, isQuery ? "query_length" : "document_length")
        case .stanford: return (Self.stanfordFile, isQuery ? "query_maxlen" : "doc_maxlen")
        case .sentenceTransformers:
            if isQuery, expansion?.strategy == .fixed { return (TransformerSettings.file, "query_expansion") }
            let isGiven = (isQuery ? queryLength : documentLength) != nil
            let key = isQuery ? "query_length" : "document_length"
            return (TransformerSettings.file, isGiven ? key : "max_seq_length")
        }
    }

    private mutating func readPyLate(_ fields: inout ConfigurationFields) throws {
        layout = .pylate
        // null takes the default, as an absent key does.
        var (query, document): (String?, String?) = (nil, nil)
        fields.read("query_prefix", into: &query)
        fields.read("document_prefix", into: &document)
        namesPrefixes = query != nil || document != nil
        (queryPrefix, documentPrefix) = (query ?? "[Q] ", document ?? "[D] ")
        for (key, path, usual) in [
            ("query_length", \Self.queryLength, 32), ("document_length", \Self.documentLength, 180),
        ] {
            fields.read(key, into: &self[keyPath: path])
            self[keyPath: path] = self[keyPath: path] ?? usual
            if let length = self[keyPath: path], !(1...ConfigurationLimits.width).contains(length) {
                fields.refuse(key, "is \(length)", expected: "1 to \(ConfigurationLimits.width)")
            }
        }
        var (expands, attends) = (true, false)
        if fields.value("do_query_expansion")?.isNull != true { fields.read("do_query_expansion", into: &expands) }
        if fields.value("attend_to_expansion_tokens")?.isNull != true {
            fields.read("attend_to_expansion_tokens", into: &attends)
        }
        if expands { expansion = QueryExpansion(length: queryLength ?? 32, isAttendedTo: attends) }
        skippedWords = Self.punctuation
        if let value = fields.value("skiplist_words"), !value.isNull {
            let words = value.arrayValue?.map(\.stringValue) ?? [nil]
            if words.contains(nil) {
                fields.refuse("skiplist_words", "is \(value.text())", expected: "a list of strings")
            }
            skippedWords = words.compactMap(\.self)
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }

    private static let stanfordFile = "artifact.metadata"

    /// Reads `artifact.metadata` of Stanford's ColBERT; an absent file is defaults.
    ///
    /// - Throws: `CheckpointError` with everything that is wrong.
    init(stanford folder: String) throws {
        layout = .stanford
        let name = Self.stanfordFile
        let path = FilePath.joined(folder, name)
        let object =
            FilePath.exists(path)
            ? try JSONFile.object(path: path, name: name, sizeLimit: JSONFile.settingsSizeLimit) : JSONObject()
        if object.isEmpty { notices.append("\(name) is not there; the defaults of ColBERT are taken") }
        var fields = ConfigurationFields(object, file: name)
        var (query, document): (String?, String?) = (nil, nil)
        fields.read("query_token_id", into: &query)
        fields.read("doc_token_id", into: &document)
        // The text that follows keeps the blank before it.
        (queryPrefix, documentPrefix) = ((query ?? "[unused0]") + " ", (document ?? "[unused1]") + " ")
        var length: Int?
        fields.read("query_maxlen", into: &length)
        fields.read("doc_maxlen", into: &documentLength)
        for (key, value) in [("query_maxlen", length), ("doc_maxlen", documentLength)] {
            if let value, !(1...ConfigurationLimits.width).contains(value) {
                fields.refuse(key, "is \(value)", expected: "1 to \(ConfigurationLimits.width)")
            }
        }
        func flag(_ key: String, _ usual: Bool) -> Bool {
            if fields.object[key]?.isNull == true { return false }
            var value = usual
            fields.read(key, into: &value)
            return value
        }
        expansion = QueryExpansion(length: length ?? 32, isAttendedTo: flag("attend_to_mask_tokens", false))
        skippedWords = flag("mask_punctuation", true) ? Self.punctuation : []
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }
}
