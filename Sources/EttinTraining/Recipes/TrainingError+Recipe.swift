import EttinRecipes

extension TrainingError.Kind {
    fileprivate init(_ kind: RecipeError.Kind) {
        switch kind {
        case .missing: self = .missing
        case .inputOutput: self = .inputOutput
        case .malformed: self = .malformed
        case .unsupported: self = .unsupported
        case .invalidOption: self = .invalidOption
        }
    }
}

extension TrainingError {
    /// The problem of a recipe as a problem of the run that it describes.
    private init(_ error: RecipeError) {
        let found = error.item.map { "\($0) \(error.found)" } ?? error.found
        self.init(Kind(error.kind), error.place, found: found, expected: error.expected)
    }

    /// Calls `body` and throws its errors of recipes as errors of this type.
    package static func translatingRecipe<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as RecipeError {
            throw TrainingError(error)
        }
    }
}
