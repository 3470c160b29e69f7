import EttinModel
import Torch

/// The rate at which libtorch multiplies matrices of a model's own shapes.
enum GEMMPeak {
    // Enough rows to reuse every weight often, and few enough to stay in the caches: either may be the faster.
    private static let rowCounts = [512, 4096]
    private static let rounds = 3

    /// Measures the best rate over the trunk's linear layers.
    ///
    /// - Parameters:
    ///   - configuration: The model.
    ///   - dtype: The type of both matrices.
    ///   - device: Where to multiply.
    /// - Returns: Operations a second, two for each multiplication; nil for a type that libtorch's plain product lacks.
    /// - Throws: `TorchError` when memory or device fails.
    static func measure(_ configuration: ModernBERTConfiguration, _ dtype: DType, on device: Device) throws -> Double? {
        guard dtype.isFloatingPoint else { return nil }
        var best = 0.0
        for (inputs, outputs) in ModelWork.linearShapes(configuration) {
            for rows in rowCounts {
                let operations = 2 * Double(rows) * Double(inputs) * Double(outputs)
                try withRecovery {
                    try withoutGradients {
                        let input = Tensor.full([rows, inputs], 0.5, dtype, on: device)
                        let weight = Tensor.full([outputs, inputs], 0.25, dtype, on: device)
                        for _ in 0..<rounds {
                            let begin = ContinuousClock.now
                            let output = input.linear(weight)
                            // A device may still be computing; reading one value waits for it.
                            _ = try output.reshaped(-1).narrowed(along: 0, from: 0, count: 1).scalar()
                            best = max(best, operations / ((ContinuousClock.now - begin) / .seconds(1)))
                        }
                    }
                }
            }
        }
        return best
    }
}
