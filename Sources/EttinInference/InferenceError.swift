/// Why a request cannot be served.
public enum InferenceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The model in the folder cannot do what is asked of it.
    case unsuitableModel(folder: String, found: String, expected: String)
    /// A text has more tokens than the model serves. Texts are counted from 1.
    case overlongText(number: Int, tokens: Int, limit: Int)
    /// A text lacks something. Texts are counted from 1.
    case unsuitableText(number: Int, found: String, expected: String)
    /// An option has an impossible value.
    case invalidOption(name: String, found: String, expected: String)
    /// A result is NaN or infinite: a checkpoint of training that diverged, mostly. Texts are counted from 1; the number is
    /// nil where the result does not belong to a text.
    case nonFiniteResult(folder: String, result: String, number: Int?, cause: String)
    /// The system starts no thread for a model.
    case noThread(reason: String)

    /// What was found and what was expected, in one line.
    public var description: String {
        switch self {
        case .unsuitableModel(let folder, let found, let expected):
            "\(folder): \(found); expected \(expected)"
        case .overlongText(let number, let tokens, let limit):
            "text \(number) has \(tokens) tokens; expected at most \(limit); pass --truncate to shorten it"
        case .unsuitableText(let number, let found, let expected):
            "text \(number) \(found); expected \(expected)"
        case .invalidOption(let name, let found, let expected):
            "--\(name) is \(found); expected \(expected)"
        case .nonFiniteResult(let folder, let result, let number, let cause):
            "\(folder): \(result)\(number.map { " \($0)" } ?? "") is NaN or infinite; \(cause)"
        case .noThread(let reason):
            "no thread can be started for a model (\(reason)); raise the limit on processes, or load fewer models"
        }
    }

    /// A text that truncation cannot make short enough.
    ///
    /// - Parameters:
    ///   - number: The number of the text, from 1.
    ///   - tokens: Number of tokens that must stay.
    ///   - limit: Maximum number of tokens of the whole.
    ///   - part: What would be left out entirely.
    /// - Returns: The error.
    static func noRoom(number: Int, tokens: Int, limit: Int, for part: String) -> InferenceError {
        .unsuitableText(
            number: number,
            found: "has \(tokens) tokens in the part that is never truncated",
            expected: "fewer than \(limit), to leave room for \(part)"
        )
    }

    /// Runs a body whose texts are others than the caller's: parts of them, or some of them.
    ///
    /// - Parameters:
    ///   - number: Gives the caller's number for the body's; both count from 1.
    ///   - body: What may fail.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws, with the caller's numbers.
    package static func numbering<Result>(_ number: (Int) -> Int, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as InferenceError {
            throw error.renumbered(number)
        }
    }

    /// The same error with the caller's number of the text.
    func renumbered(_ ours: (Int) -> Int) -> InferenceError {
        switch self {
        case .overlongText(let number, let tokens, let limit):
            .overlongText(number: ours(number), tokens: tokens, limit: limit)
        case .unsuitableText(let number, let found, let expected):
            .unsuitableText(number: ours(number), found: found, expected: expected)
        case .nonFiniteResult(let folder, let result, let number, let cause):
            .nonFiniteResult(folder: folder, result: result, number: number.map(ours), cause: cause)
        case .unsuitableModel, .invalidOption, .noThread: self
        }
    }
}
