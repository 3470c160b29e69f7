import Torch

/// The cosines and sines that turn queries and keys by their positions.
///
/// Angles are float32; the tables are rounded to the hidden dtype and the rotation itself is float32, as in
/// transformers: in bfloat16 that rounding is part of the numbers.
///
/// > Source: RoFormer, section 3.2, in the half-rotation layout of transformers' `modeling_modernbert.py`.
struct RotaryTable {
    /// Rows of half the head width: both halves of a head turn by the same angles.
    let rotation: Rotation

    /// Computes the tables.
    ///
    /// - Parameters:
    ///   - rope: The base and scale of the angles.
    ///   - width: The head width, even.
    ///   - positions: float32, `[tokens]`.
    ///   - dtype: The dtype of the hidden states.
    init(_ rope: RotaryParameters, width: Int, positions: Tensor, dtype: DType) {
        let frequencies = Self.frequencies(rope, width: width).to(.float32, positions.device)
        let angles = (positions / rope.positionScale).reshaped(-1, 1) * frequencies
        var (cosines, sines) = (angles.cosine(), angles.sine())
        // Both queries and keys grow by it, so that attention's scores grow by its square.
        if let magnitude = rope.yarn?.magnitude, magnitude != 1 {
            (cosines, sines) = (cosines * magnitude, sines * magnitude)
        }
        rotation = Rotation(cosines: cosines.to(dtype).to(.float32), sines: sines.to(dtype).to(.float32))
    }

    /// The frequency of each pair of dimensions.
    ///
    /// In float64, to be rounded once: an exponential taken in float32 would turn far positions visibly.
    private static func frequencies(_ rope: RotaryParameters, width: Int) -> Tensor {
        if let yarn = rope.yarn { return Tensor(yarn.frequencies(theta: rope.theta, width: width)) }
        let exponents = Tensor.arange(0..<(width / 2), .float64) * (-2 / Double(width))
        return (exponents * Tensor.full([], rope.theta, .float64).log()).exp()
    }

    /// Rotates `[tokens, heads, width]`, keeping its dtype.
    func rotate(_ xTHK: Tensor) -> Tensor {
        let halves = xTHK.to(.float32).split(into: 2, along: 2)
        let cosines = rotation.cosines.reshaped(xTHK.size(0), 1, xTHK.size(2) / 2)
        let sines = rotation.sines.reshaped(xTHK.size(0), 1, xTHK.size(2) / 2)
        let turned = [halves[0] * cosines - halves[1] * sines, halves[1] * cosines + halves[0] * sines]
        return Tensor.concatenate(turned, along: 2).to(xTHK.dtype)
    }

    private init(_ rotation: Rotation) {
        self.rotation = rotation
    }

    /// How many rows the table has.
    var count: Int { rotation.cosines.size(0) }

    /// Some rows, which share storage with the others.
    func rows(_ range: Range<Int>) -> RotaryTable {
        RotaryTable(Rotation(cosines: rotation.cosines.rows(range), sines: rotation.sines.rows(range)))
    }

    /// The rows of some tokens, of a table whose rows are the positions from 0.
    ///
    /// - Parameter positions: The position of each token.
    /// - Returns: A row for each token.
    func rows(at positions: [Int]) -> RotaryTable {
        // One sequence from its start is the most common batch where time counts, and needs no copy.
        if positions.indices.allSatisfy({ positions[$0] == $0 }) {
            return rows(0..<positions.count)
        }
        let rows = Tensor(positions.map(Int64.init)).to(rotation.cosines.device)
        return RotaryTable(
            Rotation(cosines: rotation.cosines.selecting(rows), sines: rotation.sines.selecting(rows))
        )
    }
}
