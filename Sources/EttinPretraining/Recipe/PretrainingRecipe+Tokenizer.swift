package import EttinCorpus
import EttinModel
import EttinTraining

extension PretrainingRecipe {
    /// The recipe with a tokenizer's numbers in its model: the rows of the embedding where the recipe leaves them to the
    /// tokenizer, and the ids of the special tokens.
    ///
    /// - Parameters:
    ///   - vocabularySize: The number of the tokenizer's tokens.
    ///   - specials: The ids of its special tokens.
    /// - Returns: A recipe whose model fits the tokenizer.
    /// - Throws: `TrainingError` when the model has fewer rows than the tokenizer tokens, or a special token has none.
    package func fitted(vocabularySize: Int, specials: SpecialTokens) throws -> PretrainingRecipe {
        var recipe = self
        if takesVocabularyFromTokenizer {
            recipe.model.vocabularySize = vocabularySize
            recipe.takesVocabularyFromTokenizer = false
        } else if model.vocabularySize < vocabularySize {
            throw TrainingError(
                .invalidOption,
                "model.model_config.vocab_size",
                found: "is \(model.vocabularySize), but the tokenizer has \(vocabularySize) tokens",
                expected: "at least as many, or the word tokenizer"
            )
        }
        let rows = recipe.model.vocabularySize
        let ids = [specials.unknown, specials.start, specials.end, specials.padding, specials.mask]
        if let id = ids.first(where: { !(0..<rows).contains(Int($0)) }) {
            throw TrainingError(
                .invalidOption,
                "tokenizer_name",
                found: "has the special token \(id), but the model has \(rows) rows",
                expected: "ids below the number of rows"
            )
        }
        recipe.model.padTokenID = Int(specials.padding)
        recipe.model.bosTokenID = Int(specials.start)
        recipe.model.clsTokenID = Int(specials.start)
        recipe.model.eosTokenIDs = [Int(specials.end)]
        recipe.model.sepTokenID = Int(specials.end)
        return recipe
    }
}
