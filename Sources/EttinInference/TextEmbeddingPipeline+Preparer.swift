import EttinJSON
package import EttinModel
package import EttinTokenizer

extension TextEmbeddingPipeline {
    /// Turns texts into what a ``TextEmbeddingPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        /// How the texts of one task become tokens.
        struct Route: Sendable {
            let preparation: TextPreparation
            /// Whether blanks around a text are left out.
            let trims: Bool
            /// Whether texts that are too long lose their beginning, by the files of the model.
            let truncatesLeft: Bool
            /// How many entries the module's vocabulary has.
            let vocabularySize: Int
        }

        /// By task, nil being texts without one; a model without a Router has one for all.
        private let routes: [TextRole?: Result<Route, CheckpointError>]
        private let usual: Route
        private let prompts: PromptTexts
        private let includesPrompt: Bool

        /// Those of all tasks, in the order of their folders.
        let tokenizers: [Tokenizer]

        /// Creates the preparer of a model.
        ///
        /// - Parameters:
        ///   - model: The model, for its prompts and for the rules of each task that a Router may have a route for.
        ///   - tokenizer: The tokenizer of all texts; nil for those of the folders that the model was loaded from.
        /// - Throws: `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do
        ///   not fit; the error of texts without a task where no task has a route.
        package init(_ model: EmbeddingModel, tokenizer: Tokenizer? = nil) throws {
            // Texts without a task first; only a Router tells tasks apart.
            let tasks: [TextRole?] = model.chain.router == nil ? [nil] : [nil] + TextRole.allCases
            var tokenizers: [String: Tokenizer] = [:]
            var routes: [TextRole?: Result<Route, CheckpointError>] = [:]
            for task in tasks {
                do {
                    let input = try model.chain.input(for: task?.rawValue)
                    let tokenizer = try tokenizer ?? tokenizers[input.folder] ?? Tokenizer(folder: input.folder)
                    tokenizers[input.folder] = tokenizer
                    try input.requireIDs(of: tokenizer)
                    routes[task] = try .success(Route(input, tokenizer, settings: model.settings))
                } catch let error as CheckpointError where model.chain.router != nil {
                    routes[task] = .failure(error)
                }
            }
            self.routes = routes
            let found = [routes[nil], routes[.query], routes[.document]].compactMap(\.self)
            usual = try (found.first { (try? $0.get()) != nil } ?? found[0]).get()
            self.tokenizers = tokenizers.sorted { $0.key < $1.key }.map(\.value)
            prompts = PromptTexts(prompts: model.settings.prompts, defaultName: model.settings.defaultPromptName)
            includesPrompt = model.includesPrompt
        }

        /// Maximum number of tokens per text, including special tokens.
        public var limit: Int { usual.preparation.limit }

        /// The tokenizer of texts without a task.
        package var tokenizer: Tokenizer { usual.preparation.tokenizer }

        /// The route of a task.
        ///
        /// - Throws: `CheckpointError` when a Router has none.
        func route(for task: TextRole?) throws -> Route {
            try (routes[task] ?? routes[nil])?.get() ?? usual
        }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: The texts; an empty one is only its special tokens.
        ///   - prompt: What to put before each text.
        ///   - task: What the texts are to a search; it has a prompt of its own where the model does, and a Router's route.
        ///   - overlong: What to do with texts that are too long.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text that is too long or a prompt that does not exist; `CheckpointError` for a
        ///   task that the model has no route for.
        public func prepare(
            _ texts: [String],
            prompt: Prompt = .default,
            task: TextRole? = nil,
            overlong: OverlongTextRule = .refuse
        ) throws -> [PreparedText] {
            let promptText = try prompts.text(of: prompt, for: task)
            let route = try route(for: task)
            let whole = promptText.isEmpty && !route.trims ? texts : texts.map { route.trimmed(promptText + $0) }
            let prepared = try route.preparation.prepare(whole, overlong: overlong)
            let hasNoCount = includesPrompt || promptText.isEmpty || prepared.isEmpty
            let count = hasNoCount ? 0 : try route.countOfPromptTokens(promptText, overlong: overlong)
            let givenTask = routes.count > 1 ? task?.rawValue : nil
            guard count > 0 || givenTask != nil else { return prepared }
            return prepared.map {
                PreparedText(
                    $0.tokenIDs,
                    isTruncated: $0.isTruncated,
                    promptTokenCount: count,
                    task: givenTask
                )
            }
        }
    }
}

extension TextEmbeddingPipeline.Preparer.Route {
    /// A text without the blanks around it, where the model's generation leaves them out.
    func trimmed(_ text: String) -> String { trims ? text.withoutOuterBlanks : text }

    /// The tokens of the prompt alone, with the special ones in front but not those behind.
    ///
    /// A prompt that is too long counts as it is truncated, so that of a text which it fills only the last special token
    /// is left to pool.
    ///
    /// Alone, the blank at the end of a prompt is a token, although in front of a text it may be part of the first word:
    /// versions from 6 leave out the first token of the text then, as those up to 5 do not, which trim the prompt too.
    ///
    /// > Source: sentence-transformers 5.3 and 6.2, `SentenceTransformer._get_prompt_length`.
    func countOfPromptTokens(_ prompt: String, overlong rule: OverlongTextRule) throws -> Int {
        // Texts that were to be refused are no longer than the limit here, though the prompt alone may be.
        let rule = rule == .refuse ? OverlongTextRule.keepStart : rule
        let ids = try preparation.prepare([trimmed(prompt)], overlong: rule)[0].tokenIDs
        return ids.count - (ids.last.map(preparation.tokenizer.isSpecial) == true ? 1 : 0)
    }
}

extension TextEmbeddingPipeline.Preparer.Route {
    /// The rules of a module that reads tokens.
    ///
    /// - Throws: `TokenizerError` where the tokenizer's own truncation is none.
    fileprivate init(_ input: ModuleInput, _ tokenizer: Tokenizer, settings: EmbeddingSettings) throws {
        let limits = [
            try input.obeysTokenizer ? tokenizer.modelMaxLength : tokenizer.ownMaxLength,
            input.configuration?.maxPositionEmbeddings, input.maxTokens, settings.maxSequenceLength,
        ]
        truncatesLeft = input.obeysTokenizer ? tokenizer.truncatesLeft : tokenizer.truncation["direction"] == "Left"
        preparation = TextPreparation(
            tokenizer: tokenizer,
            limit: limits.compactMap(\.self).min() ?? .max,
            addsSpecialTokens: input.addsSpecialTokens
        )
        // Only their Transformer trims texts.
        trims = settings.generation == .version5 && input.configuration != nil
        vocabularySize = input.vocabularySize
    }
}

extension ModuleInput {
    /// Checks that the module has an entry for each token.
    fileprivate func requireIDs(of tokenizer: Tokenizer) throws {
        if let configuration { return try configuration.requireIDs(of: tokenizer, folder: folder) }
        guard tokenizer.vocabularySize > vocabularySize else { return }
        throw InferenceError.unsuitableModel(
            folder: folder,
            found: "the tokenizer has \(tokenizer.vocabularySize) tokens",
            expected: "at most \(vocabularySize), as many as the module has vectors or weights"
        )
    }
}

extension String {
    /// The text without what Python's `str.strip` takes away at either end.
    package var withoutOuterBlanks: String {
        func isBlank(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        guard let first = unicodeScalars.firstIndex(where: { !isBlank($0) }),
            let last = unicodeScalars.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(unicodeScalars[first...last])
    }
}
