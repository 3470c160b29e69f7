import CTorch

extension Tensor {
    private func unary(_ op: CTUnary, _ name: StaticString) -> Tensor {
        makeTensor(name, [self]) { ct_math_unary(op, handle, $0) }
    }

    private static func binary(_ op: CTBinary, _ name: StaticString, _ a: Tensor, _ b: Tensor) -> Tensor {
        makeTensor(name, [a, b]) { ct_math_binary(op, a.handle, b.handle, $0) }
    }

    private static func binary(_ op: CTBinary, _ name: StaticString, _ a: Tensor, _ b: Double) -> Tensor {
        makeTensor(name, [a]) { ct_math_binary_scalar(op, a.handle, b, $0) }
    }

    // MARK: Arithmetic, with broadcasting

    /// Elementwise sum.
    public static func + (a: Tensor, b: Tensor) -> Tensor { binary(CT_ADD, "+", a, b) }
    /// Elementwise sum with a number.
    public static func + (a: Tensor, b: Double) -> Tensor { binary(CT_ADD, "+", a, b) }
    /// Elementwise difference.
    public static func - (a: Tensor, b: Tensor) -> Tensor { binary(CT_SUBTRACT, "-", a, b) }
    /// Elementwise difference from a number.
    public static func - (a: Tensor, b: Double) -> Tensor { binary(CT_SUBTRACT, "-", a, b) }
    /// Elementwise product.
    public static func * (a: Tensor, b: Tensor) -> Tensor { binary(CT_MULTIPLY, "*", a, b) }
    /// Elementwise product with a number.
    public static func * (a: Tensor, b: Double) -> Tensor { binary(CT_MULTIPLY, "*", a, b) }
    /// Elementwise quotient.
    public static func / (a: Tensor, b: Tensor) -> Tensor { binary(CT_DIVIDE, "/", a, b) }
    /// Elementwise quotient by a number.
    public static func / (a: Tensor, b: Double) -> Tensor { binary(CT_DIVIDE, "/", a, b) }
    /// Elementwise negation.
    public static prefix func - (a: Tensor) -> Tensor { a.unary(CT_NEGATE, "-") }

    /// The elementwise larger of value and bound.
    public func clamped(min bound: Double) -> Tensor { Self.binary(CT_MAXIMUM, "clamped", self, bound) }
    /// Elements raised to a power.
    public func power(_ exponent: Double) -> Tensor { Self.binary(CT_POWER, "power", self, exponent) }

    // MARK: Comparison

    /// Whether each element is less than that of another tensor, which broadcasts, as bool.
    package func isLess(than other: Tensor) -> Tensor { Self.binary(CT_LESS, "isLess", self, other) }
    /// Whether each element is less than a number, as bool.
    package func isLess(than other: Double) -> Tensor { Self.binary(CT_LESS, "isLess", self, other) }
    /// Elementwise not of a bool tensor.
    package func inverted() -> Tensor { unary(CT_LOGICAL_NOT, "inverted") }
    /// `value` where the bool `mask`, which broadcasts, is true; these elements elsewhere.
    package func filled(with value: Double, where mask: Tensor) -> Tensor {
        makeTensor("filled", [self, mask]) { ct_math_masked_fill(handle, mask.handle, value, $0) }
    }

    // MARK: Functions

    /// Elementwise eˣ.
    public func exp() -> Tensor { unary(CT_EXP, "exp") }
    /// Elementwise natural logarithm.
    public func log() -> Tensor { unary(CT_LOG, "log") }
    /// Elementwise square root.
    public func squareRoot() -> Tensor { unary(CT_SQRT, "squareRoot") }
    /// Elementwise cosine.
    public func cosine() -> Tensor { unary(CT_COS, "cosine") }
    /// Elementwise sine.
    public func sine() -> Tensor { unary(CT_SIN, "sine") }
    /// Elementwise hyperbolic tangent.
    public func tanh() -> Tensor { unary(CT_TANH, "tanh") }
    /// Elementwise logistic function.
    public func sigmoid() -> Tensor { unary(CT_SIGMOID, "sigmoid") }
    /// Elementwise max(x, 0).
    public func relu() -> Tensor { unary(CT_RELU, "relu") }
    /// Elementwise x · sigmoid(x).
    public func silu() -> Tensor { unary(CT_SILU, "silu") }
    /// Elementwise x · Φ(x), exact (by the error function).
    public func gelu() -> Tensor { unary(CT_GELU, "gelu") }
    /// The tanh approximation of ``gelu()``.
    public func geluTanh() -> Tensor { unary(CT_GELU_TANH, "geluTanh") }
    /// Elementwise inverse error function.
    package func inverseErrorFunction() -> Tensor { unary(CT_ERFINV, "inverseErrorFunction") }
    /// Elementwise absolute value.
    public func absolute() -> Tensor { unary(CT_ABS, "absolute") }
    /// Whether each element is neither infinite nor NaN, as bool.
    public func isFinite() -> Tensor { unary(CT_IS_FINITE, "isFinite") }

    // MARK: Reductions

    private func reduce(_ op: CTReduction, _ name: StaticString, _ dimensions: [Int], _ keep: Bool) -> Tensor {
        makeTensor(name, [self]) {
            ct_math_reduce(op, handle, dimensions.int64, Int32(dimensions.count), keep, $0)
        }
    }

    /// The sum over some dimensions, or over all of them when none is named.
    public func sum(along dimensions: Int..., keepingDimensions keep: Bool = false) -> Tensor {
        reduce(CT_SUM, "sum", dimensions, keep)
    }

    /// The mean over some dimensions, or over all of them when none is named.
    public func mean(along dimensions: Int..., keepingDimensions keep: Bool = false) -> Tensor {
        reduce(CT_MEAN, "mean", dimensions, keep)
    }

    /// The largest value over some dimensions, or over all of them when none is named.
    public func max(along dimensions: Int..., keepingDimensions keep: Bool = false) -> Tensor {
        reduce(CT_MAX, "max", dimensions, keep)
    }

    /// The smallest value over some dimensions, or over all of them when none is named.
    public func min(along dimensions: Int..., keepingDimensions keep: Bool = false) -> Tensor {
        reduce(CT_MIN, "min", dimensions, keep)
    }

    /// The Euclidean norm over some dimensions, or over all of them when none is named.
    public func norm(along dimensions: Int..., keepingDimensions keep: Bool = false) -> Tensor {
        reduce(CT_NORM, "norm", dimensions, keep)
    }

    /// The logarithm of the sum of the exponentials along one dimension, which is dropped.
    package func logSumExp(along dimension: Int) -> Tensor {
        makeTensor("logSumExp", [self]) { ct_math_log_sum_exp(handle, Int64(dimension), $0) }
    }

    /// The logarithm of the sum of the exponentials of the elements along one dimension up to each, which included.
    package func cumulativeLogSumExp(along dimension: Int) -> Tensor {
        makeTensor("cumulativeLogSumExp", [self]) { ct_math_log_cumulative_sum_exp(handle, Int64(dimension), $0) }
    }

    /// The index of the largest value along one dimension, int64; the first of equals.
    public func argmax(along dimension: Int) -> Tensor {
        makeTensor("argmax", [self]) { ct_math_argmax(handle, Int64(dimension), $0) }
    }

    /// The largest values along the last dimension, in descending order, and their int64 indices, both `[…, count]`.
    public func topK(_ count: Int) -> (values: Tensor, indices: Tensor) {
        var values: OpaquePointer?
        var indices: OpaquePointer?
        let status = ct_math_top_k(handle, Int64(count), -1, &values, &indices)
        guard succeeded(status, "topK", [self]), let values, let indices else { return (.empty, .empty) }
        return (Tensor(owning: values), Tensor(owning: indices))
    }

    /// The distances between all rows of this tensor and all of another.
    ///
    /// - Parameters:
    ///   - other: `[others, width]`.
    ///   - p: Of the norm of differences: 2 for Euclidean distances, 1 for Manhattan.
    /// - Returns: `[rows, others]` for `[rows, width]`.
    package func distances(to other: Tensor, p: Double) -> Tensor {
        makeTensor("distances", [self, other]) { ct_math_distances(handle, other.handle, p, $0) }
    }

    // MARK: Products and comparison

    /// The matrix product of `[…, m, k]` and `[…, k, n]`; leading dimensions broadcast, as in `torch.matmul`.
    public func matmul(_ other: Tensor) -> Tensor {
        makeTensor("matmul", [self, other]) { ct_math_matmul(handle, other.handle, $0) }
    }

    /// Whether shape, dtype and every element agree.
    ///
    /// - Throws: ``TorchError`` when the device fails.
    public func isEqual(to other: Tensor) throws -> Bool {
        guard shape == other.shape, dtype == other.dtype else { return false }
        var result = false
        let status = ct_math_is_equal(handle, other.handle, &result)
        if status == CT_SKIPPED { throw TorchError.afterFailure }
        if let error = TorchError(status) { throw error }
        _ = succeeded(status, "isEqual", [self, other])
        return result
    }
}
