import EttinTokenizer

extension FillMaskPipeline {
    /// Turns texts into what a ``FillMaskPipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let preparation: TextPreparation
        private let maskTokenID: Int32

        init(_ preparation: TextPreparation, maskTokenID: Int32) {
            self.preparation = preparation
            self.maskTokenID = maskTokenID
        }

        /// Maximum number of tokens per text, including special tokens.
        public var limit: Int { preparation.limit }

        /// Prepares texts, on all threads.
        ///
        /// - Parameters:
        ///   - texts: Each with at least one mask token.
        ///   - overlong: What to do with texts that are too long.
        /// - Returns: One value for each text, in order.
        /// - Throws: ``InferenceError`` for a text without a mask or one that is too long.
        public func prepare(_ texts: [String], overlong: OverlongTextRule = .refuse) throws -> [PreparedText] {
            let prepared = try preparation.prepare(texts, overlong: overlong)
            try requireMasks(prepared)
            return prepared
        }

        func requireMasks(_ texts: [PreparedText]) throws {
            for (index, text) in texts.enumerated() where !text.tokenIDs.contains(maskTokenID) {
                throw InferenceError.unsuitableText(
                    number: index + 1,
                    found: text.isTruncated ? "has no mask left after truncation" : "has no mask",
                    expected: "at least one \(preparation.tokenizer.idToToken(maskTokenID) ?? "mask token")"
                )
            }
        }
    }
}
