import Dispatch
import EttinJSON
import Synchronization

/// Trains a byte-level BPE tokenizer whose merges equal those of the `tokenizers` library's `BpeTrainer`.
///
/// ```swift
/// var trainer = BPETrainer(vocabularySize: 32_000)
/// trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { AddedToken($0, isSpecial: true) }
/// trainer.roles = ["cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]"]
/// let tokenizer = try trainer.train(files: ["corpus.txt"], threads: 4)
/// try tokenizer.save(to: "tokenizer")
/// ```
public struct BPETrainer: Sendable {
    /// How many tokens to make, special tokens and bytes included.
    public var vocabularySize: Int
    /// How often a pair must occur to be merged.
    public var minFrequency = 0
    /// Tokens with the first ids, which are cut out of texts when encoding, not when training.
    public var specialTokens: [AddedToken] = []
    /// What special tokens are for: text by key of `tokenizer_config.json`, for example `mask_token`.
    ///
    /// With a `cls_token` and a `sep_token`, the tokenizer gets the template `[CLS] A [SEP] B [SEP]`.
    public var roles: [String: String] = [:]
    /// Whether all 256 bytes are tokens, or only those that occur.
    public var includesAllBytes = true
    /// Whether texts that do not begin with a space get one.
    public var addsPrefixSpace = false
    /// Whether texts are brought to NFC.
    public var normalizesNFC = true

    /// Creates a trainer with the original's defaults for everything else.
    ///
    /// - Parameter vocabularySize: How many tokens to make; 30 000 as in the original.
    public init(vocabularySize: Int = 30_000) {
        self.vocabularySize = vocabularySize
    }

    /// Trains on text files, line by line.
    ///
    /// - Parameters:
    ///   - files: Paths of UTF-8 text; ill-formed parts are read as U+FFFD. `-` is standard input.
    ///   - threads: How many threads to count words with.
    /// - Returns: The tokenizer.
    /// - Throws: `TokenizerError` when a file cannot be read or an option is impossible.
    public func train(files: [String], threads: Int = 1) throws -> Tokenizer {
        let counters = (0..<max(1, threads)).map { _ in counter() }
        for file in files {
            var blocks = try TextBlocks(file, blockBytes: 4 << 20, seams: nil)
            while true {
                var texts: [String] = []
                while texts.count < counters.count, let block = try blocks.next() {
                    texts.append(String(decoding: block, as: UTF8.self))
                }
                guard !texts.isEmpty else { break }
                let batch = texts
                DispatchQueue.concurrentPerform(iterations: batch.count) { index in
                    var text = batch[index]
                    text.withUTF8 { counters[index].count(linesOf: $0) }
                }
            }
        }
        return try train(counters)
    }

    /// Trains on texts, each taken as a whole.
    ///
    /// - Parameter texts: The texts.
    /// - Returns: The tokenizer.
    /// - Throws: `TokenizerError` when an option is impossible.
    public func train(texts: some Sequence<String>) throws -> Tokenizer {
        let counter = counter()
        for text in texts {
            var text = text
            text.withUTF8 { counter.count($0) }
        }
        return try train([counter])
    }

    private func counter() -> WordCounter {
        WordCounter(composesCanonically: normalizesNFC, addsPrefixSpace: addsPrefixSpace)
    }

    private func train(_ counters: [WordCounter]) throws -> Tokenizer {
        guard vocabularySize > 0, vocabularySize <= Vocabulary.largestID else {
            throw TokenizerError.invalidOption(
                name: "vocabularySize",
                found: "\(vocabularySize)",
                expected: "1 to \(Vocabulary.largestID)"
            )
        }
        guard let first = counters.first else {
            return try tokenizer(MergeLearner(WordCounts(), tokens: initialTokens([])))
        }
        for other in counters.dropFirst() {
            first.counts.add(other.counts)
            // Each counter's memory is as large as the words of the whole text.
            other.counts = WordCounts()
        }
        var bytes = Set<UInt8>()
        if includesAllBytes {
            bytes.formUnion(0...255)
        } else {
            for index in 0..<first.counts.count { bytes.formUnion(first.counts.entry(index).word) }
        }
        var learner = MergeLearner(first.counts, tokens: initialTokens(bytes))
        learner.learn(vocabularySize: vocabularySize, minFrequency: minFrequency)
        return try tokenizer(learner)
    }

    /// Special tokens in order, then bytes in the order of their characters.
    private func initialTokens(_ bytes: Set<UInt8>) -> [[UInt8]] {
        var tokens: [[UInt8]] = []
        var seen = Set<[UInt8]>()
        let alphabet = bytes.sorted { ByteAlphabet.scalars[Int($0)] < ByteAlphabet.scalars[Int($1)] }
        for token in specialTokens.map({ Array($0.content.utf8) })
            + alphabet.map({ ByteAlphabet.text(of: CollectionOfOne($0)) }) where seen.insert(token).inserted
        {
            tokens.append(token)
        }
        return tokens
    }

    // MARK: - The trained tokenizer

    private func tokenizer(_ learner: MergeLearner) throws -> Tokenizer {
        var builder = VocabularyBuilder(expectedCount: learner.tokens.count)
        for (id, token) in learner.tokens.enumerated() {
            guard (try? builder.append(token, id: id)) != nil else { throw tooLarge(learner.tokens.count) }
        }
        guard case .success(let vocabulary) = builder.build() else { throw tooLarge(learner.tokens.count) }
        var configuration = JSONObject()
        for (key, token) in roles.sorted(by: { $0.key < $1.key }) { configuration[key] = .string(token) }
        configuration["clean_up_tokenization_spaces"] = false
        configuration["model_input_names"] = ["input_ids", "attention_mask"]
        configuration["tokenizer_class"] = "PreTrainedTokenizerFast"
        let template = try template(vocabulary)
        var steps: [PostProcessor.Step] = []
        if !template.isNull {
            let checker = TokenizerFileChecker(name: "tokenizer.json")
            steps = try checker.postProcessorSteps(template, field: "post_processor")
        }
        let file = TokenizerFile(
            header: header(template),
            modelOptions: [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": nil, "merges": nil,
            ],
            vocabulary: vocabulary,
            merges: MergeTable(learner.merges),
            addedTokens: specialTokens,
            statedIDs: [],
            composesCanonically: normalizesNFC,
            splitting: ByteLevelSplitting(addsPrefixSpace: addsPrefixSpace),
            postProcessor: PostProcessor(steps: steps),
            decodesBytes: true,
            unknownToken: nil,
            fusesUnknown: false,
            ignoresMerges: false
        )
        return try Tokenizer(
            file: file,
            settings: TokenizerSettings(configuration: configuration, specialTokensMap: nil),
            name: "tokenizer.json"
        )
    }

    private func header(_ template: JSONValue) -> JSONObject {
        let byteLevel: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": .bool(addsPrefixSpace), "trim_offsets": true, "use_regex": true,
        ]
        return [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": nil,
            "normalizer": normalizesNFC ? ["type": "NFC"] : nil,
            "pre_tokenizer": byteLevel, "post_processor": template, "decoder": byteLevel, "model": nil,
        ]
    }

    private func template(_ vocabulary: Vocabulary) throws -> JSONValue {
        guard let cls = roles["cls_token"], let sep = roles["sep_token"] else { return .null }
        var writer = TemplateWriter()
        let parts = try [cls, sep].map { token in
            guard let id = vocabulary.id(of: Array(token.utf8)) else {
                throw TokenizerError.invalidOption(
                    name: "roles",
                    found: "\"\(token)\"",
                    expected: "one of the special tokens"
                )
            }
            return writer.special(token, id: id)
        }
        let single = [parts[0], TemplateWriter.text("A"), parts[1]]
        return writer.template(single: single, pair: single + [TemplateWriter.text("B"), parts[1]])
    }

    private func tooLarge(_ count: Int) -> TokenizerError {
        .invalidOption(name: "vocabularySize", found: "\(count)", expected: "a vocabulary of at most 4 GB of text")
    }
}
