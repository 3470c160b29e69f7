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

    /// The same error in a request that the texts are a later part of.
    ///
    /// - Parameter offset: How many texts of the request come before.
    /// - Returns: The error with the number of the text among all.
    func renumbered(by offset: Int) -> InferenceError {
        switch self {
        case .overlongText(let number, let tokens, let limit):
            .overlongText(number: number + offset, tokens: tokens, limit: limit)
        case .unsuitableText(let number, let found, let expected):
            .unsuitableText(number: number + offset, found: found, expected: expected)
        case .nonFiniteResult(let folder, let result, let number, let cause):
            .nonFiniteResult(folder: folder, result: result, number: number.map { $0 + offset }, cause: cause)
        case .unsuitableModel, .invalidOption, .noThread: self
        }
    }
}
