import Foundation
public import Torch

/// A moving average of a model's parameters, in float32.
///
/// After each update, `a ← s · a + (1 − s) · p` for every parameter `p`; it starts as a copy of them. With a half-life
/// of `h` updates, `s = 2^(−1/h)`.
///
/// > Source: Composer's algorithm `ema`.
public final class ExponentialAverage {
    /// `s`, how much of the average an update keeps.
    public let smoothing: Double
    /// The averages under the keys of the parameters, in their order.
    public private(set) var state: StateDictionary

    /// Starts an average.
    ///
    /// - Parameters:
    ///   - parameters: The parameters as they are now, which are copied.
    ///   - smoothing: How much of the average an update keeps, between 0 and 1.
    /// - Throws: `TrainingError` for any other smoothing.
    public init(_ parameters: StateDictionary, smoothing: Double) throws {
        guard smoothing > 0, smoothing < 1 else {
            throw TrainingError(
                .invalidOption,
                "algorithms.ema.smoothing",
                found: "is \(smoothing)",
                expected: "a number between 0 and 1"
            )
        }
        self.smoothing = smoothing
        state = withoutGradients { parameters.map { ($0.key, $0.tensor.detached().to(.float32).copy()) } }
    }

    /// The smoothing that halves the weight of a state in some time.
    ///
    /// - Parameters:
    ///   - halfLife: The time, above 0.
    ///   - updateInterval: The time between updates, in the same unit.
    /// - Returns: `2^(−updateInterval / halfLife)`.
    package static func smoothing(halfLife: Double, updateInterval: Double = 1) -> Double {
        pow(2, -updateInterval / halfLife)
    }

    /// Moves the average towards the parameters.
    ///
    /// - Parameter parameters: The same parameters as at the start, in the same order.
    public func update(from parameters: StateDictionary) {
        precondition(parameters.count == state.count, "ExponentialAverage: \(parameters.count) tensors")
        precondition(state.map(\.key) == parameters.map(\.key), "ExponentialAverage: another model")
        Tensor.average(state.map(\.tensor), toward: parameters.map(\.tensor), keeping: smoothing)
    }

    /// Resumes from a saved state.
    ///
    /// - Parameter saved: What ``state`` was.
    /// - Throws: `TrainingError` when tensors are missing, unknown or of another shape; nothing has changed then.
    public func restore(_ saved: StateDictionary) throws {
        let tensors = [String: Tensor](saved.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        func refused(_ key: String, _ found: String, _ expected: String) -> TrainingError {
            TrainingError(.malformed, "the saved average", found: "\(found) \"\(key)\"", expected: expected)
        }
        let known = Set(state.map(\.key))
        if let key = tensors.keys.filter({ !known.contains($0) }).min() {
            throw refused(key, "has an unknown tensor", "the parameters of the model")
        }
        state = try state.map { key, present in
            guard let tensor = tensors[key] else { throw refused(key, "lacks", "every parameter of the model") }
            guard tensor.shape == present.shape else {
                throw refused(key, "has shape \(tensor.shape) for", "\(present.shape)")
            }
            return (key, tensor.to(.float32, present.device).copy())
        }
    }

    /// Runs a body while a model has the averages for its parameters, such as an evaluation.
    ///
    /// - Parameters:
    ///   - module: The model whose parameters are averaged.
    ///   - body: What to do with it.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws; the model has its own parameters again then too.
    public func withAverages<Result>(in module: Module, _ body: () throws -> Result) rethrows -> Result {
        let references = module.parameterReferences
        precondition(references.map(\.key) == state.map(\.key), "ExponentialAverage: another model")
        let own = references.map(\.reference.tensor)
        for (reference, average) in zip(references, state) {
            reference.reference.tensor = average.tensor.to(reference.reference.tensor.dtype)
        }
        defer { for (reference, tensor) in zip(references, own) { reference.reference.tensor = tensor } }
        return try body()
    }
}
