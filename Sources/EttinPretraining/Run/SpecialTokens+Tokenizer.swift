package import EttinCorpus
package import EttinTokenizer
import EttinTraining

extension SpecialTokens {
    /// The special tokens of a tokenizer, or the suite's without one.
    ///
    /// - Parameter tokenizer: The tokenizer.
    /// - Throws: `TrainingError` when it does not name one that training needs.
    package init(naming tokenizer: Tokenizer?) throws {
        guard let tokenizer else {
            self.init()
            return
        }
        func id(_ role: String, _ id: Int32?) throws -> Int32 {
            guard let id else {
                throw TrainingError(
                    .missing,
                    "tokenizer_name",
                    found: "names no \(role)",
                    expected: "a tokenizer with cls_token, sep_token, pad_token and mask_token"
                )
            }
            return id
        }
        self.init(
            unknown: try tokenizer.unkTokenID ?? id("pad_token", tokenizer.padTokenID),
            start: try id("cls_token", tokenizer.clsTokenID),
            end: try id("sep_token", tokenizer.sepTokenID),
            padding: try id("pad_token", tokenizer.padTokenID),
            mask: try id("mask_token", tokenizer.maskTokenID)
        )
    }
}
