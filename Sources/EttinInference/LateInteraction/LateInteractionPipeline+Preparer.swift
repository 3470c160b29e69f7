import EttinFiles
import EttinModel
import EttinTokenizer

extension LateInteractionPipeline {
    /// Turns texts into what a ``LateInteractionPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let tokenizer: Tokenizer
        private let prompts: PromptTexts
        /// Whether blanks around a text are left out, as PyLate and versions up to 5 of sentence-transformers do.
        private let trims: Bool
        private let query: Rule
        private let document: Rule
        /// Maximum number of tokens per text, special tokens and prefix included, whatever the role.
        private let contextLength: Int

        /// How the texts of one role become tokens.
        private struct Rule {
            var prefix = Prefix(token: nil, text: "")
            /// Maximum number of tokens, the prefix included.
            let limit: Int
            /// The number of tokens of an empty text: special tokens and that of the prefix.
            var least = 0
            var expansion: Expansion?
        }

        private typealias Expansion = (length: Int, token: Int32, isAttendedTo: Bool, isFixed: Bool)

        /// What precedes each text.
        private struct Prefix {
            /// What goes behind the first token.
            let token: Int32?
            /// What goes before the text.
            let text: String
        }

        init(
            tokenizer: Tokenizer,
            configuration: ModernBERTConfiguration,
            settings: MultiVectorSettings,
            maxSequenceLength: Int?,
            scoresExpansion: Bool,
            folder: String,
            notices: inout [String]
        ) throws {
            self.tokenizer = tokenizer
            prompts = PromptTexts(
                prompts: settings.prompts,
                defaultName: settings.defaultPromptName,
                appliesByRole: settings.layout != .pylate
            )
            trims = settings.layout == .pylate
            contextLength = configuration.maxPositionEmbeddings
            let positions = configuration.maxPositionEmbeddings
            let usual = min(TextPreparation.limit(tokenizer, configuration), maxSequenceLength ?? .max)
            func limit(_ length: Int?) -> Int { length.map { min($0, positions) } ?? usual }
            func prefix(_ text: String, _ notices: inout [String]) -> Prefix {
                Self.prefix(text, tokenizer, isNamed: settings.namesPrefixes, &notices)
            }
            /// A rule, whose limit must have room for what every text has.
            func rule(_ prefix: Prefix, limit: Int, isQuery: Bool, _ expansion: Expansion? = nil) throws -> Rule {
                let least = tokenizer.encodeIDs("").count + (prefix.token == nil ? 0 : 1)
                if limit < least {
                    let (file, key) = settings.lengthKey(isQuery: isQuery)
                    throw CheckpointError(
                        .malformed,
                        file: file,
                        item: quoted(key),
                        found: "is \(limit)",
                        expected: "at least \(least), the special tokens and the prefix"
                    )
                }
                return Rule(prefix: prefix, limit: limit, least: least, expansion: expansion)
            }
            document = try rule(
                prefix(settings.documentPrefix, &notices),
                limit: limit(settings.documentLength),
                isQuery: false
            )
            let queryPrefix = prefix(settings.queryPrefix, &notices)
            guard let expansion = settings.expansion, scoresExpansion || expansion.isAttendedTo else {
                var length = limit(settings.queryLength)
                if let expansion = settings.expansion {
                    let isFixed = expansion.strategy == .fixed
                    if isFixed { length = min(expansion.length, positions) }
                    let effect = isFixed ? "only limits queries" : "no effect"
                    notices.append("query_expansion: \(effect), as no MultiVectorMask lets its tokens count")
                }
                query = try rule(queryPrefix, limit: length, isQuery: true)
                return
            }
            guard expansion.length <= positions else {
                throw InferenceError.unsuitableModel(
                    folder: folder,
                    found: "queries are expanded to \(expansion.length) tokens",
                    expected: "at most the \(positions) of \"max_position_embeddings\""
                )
            }
            let isFixed = expansion.strategy == .fixed
            query = try rule(
                queryPrefix,
                limit: isFixed ? expansion.length : max(expansion.length, limit(settings.queryLength)),
                isQuery: true,
                (expansion.length, Self.token(expansion, tokenizer, folder), expansion.isAttendedTo, isFixed)
            )
        }

        private static func token(
            _ expansion: QueryExpansion,
            _ tokenizer: Tokenizer,
            _ folder: String
        ) throws -> Int32 {
            if let name = expansion.token {
                if let token = tokenizer.tokenToID(name) { return token }
            } else if let token = tokenizer.maskTokenID ?? tokenizer.eosTokenID {
                return token
            }
            throw InferenceError.unsuitableModel(
                folder: folder,
                found: expansion.token.map { "the tokenizer has no token \"\($0)\" to expand queries with" }
                    ?? "the tokenizer's files define no \"mask_token\" to expand queries with",
                expected: expansion.token == nil ? "one, such as [MASK]" : "a token of its vocabulary"
            )
        }

        /// A prefix whose text, or whose first word, is a token goes behind the first token as that one; another is text.
        private static func prefix(
            _ text: String,
            _ tokenizer: Tokenizer,
            isNamed: Bool,
            _ notices: inout [String]
        ) -> Prefix {
            if text.isEmpty { return Prefix(token: nil, text: "") }
            if let token = tokenizer.tokenToID(text) { return Prefix(token: token, text: "") }
            let word = text.prefix { !$0.isWhitespace }
            if let token = tokenizer.tokenToID(String(word)) {
                return Prefix(token: token, text: String(text.dropFirst(word.count)))
            }
            guard isNamed else { return Prefix(token: nil, text: "") }
            notices.append("the prefix \"\(text)\" is no token of the tokenizer; it is put before texts as text")
            return Prefix(token: nil, text: text)
        }

        /// Maximum number of tokens per text of a role, including special tokens.
        public func limit(for role: TextRole) -> Int { role == .query ? query.limit : document.limit }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts; an empty one is only its special tokens.
        ///   - role: What they are to a search.
        ///   - prompt: What to put before each text; the default is the folder's own for the role, or in a folder of
        ///     PyLate its default prompt whatever the role.
        ///   - maxLength: Maximum number of tokens in place of the folder's own for the role; queries that are expanded
        ///     to a fixed length have no other.
        ///   - overlong: What to do with texts that are too long.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long, a query without tokens that expansion leaves as it
        ///   is, a prompt that does not exist or a length out of range.
        public func prepare(
            _ texts: [String],
            as role: TextRole = .document,
            prompt: Prompt = .default,
            maxLength: Int? = nil,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let rule = role == .query ? query : document
            let least = rule.expansion?.length ?? max(1, rule.least)
            let isFixed = rule.expansion?.isFixed == true
            if let maxLength { try check("max-length", maxLength, in: least...(isFixed ? least : contextLength)) }
            let promptText = try prompts.text(of: prompt, for: role)
            let inputs = texts.map { text in
                let whole = promptText + text
                return rule.prefix.text + (trims ? whole.withoutOuterBlanks : whole)
            }
            let texts = try encoded(inputs, rule, limit: maxLength ?? rule.limit, overlong)
            return try texts.enumerated().map { index, text in
                var ids = text.tokenIDs
                var unattended = 0
                if let expansion = rule.expansion, ids.count < expansion.length {
                    // Attention needs something to attend to.
                    guard !ids.isEmpty || expansion.isAttendedTo else {
                        throw InferenceError.unsuitableText(
                            number: index + 1,
                            found: "has no tokens",
                            expected: "at least one beside those of query_expansion"
                        )
                    }
                    let count = expansion.length - ids.count
                    ids += [Int32](repeating: expansion.token, count: count)
                    unattended = expansion.isAttendedTo ? 0 : count
                }
                return PreparedText(
                    ids,
                    isTruncated: text.isTruncated,
                    task: role.rawValue,
                    unattendedTokenCount: unattended
                )
            }
        }

        /// The tokens of texts, with that of the prefix behind the first.
        private func encoded(
            _ texts: [String],
            _ rule: Rule,
            limit: Int,
            _ overlong: OverlongTextRule
        ) throws -> [PreparedText] {
            guard let prefix = rule.prefix.token else {
                return try TextPreparation(tokenizer: tokenizer, limit: limit).prepare(texts, overlong: overlong)
            }
            do {
                return try TextPreparation(tokenizer: tokenizer, limit: limit - 1).prepare(texts, overlong: overlong)
                    .map { text in
                        var ids = text.tokenIDs
                        ids.insert(prefix, at: min(1, ids.count))
                        return PreparedText(ids, isTruncated: text.isTruncated)
                    }
            } catch InferenceError.overlongText(let number, let tokens, let limit) {
                throw InferenceError.overlongText(number: number, tokens: tokens + 1, limit: limit + 1)
            }
        }
    }
}
