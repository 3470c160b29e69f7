import Torch

/// The cosines and sines that turn queries and keys by their positions.
///
/// Angles are float32; the tables are rounded to the hidden dtype and the rotation itself is float32, as in
/// transformers: in bfloat16 that rounding is part of the numbers.
///
/// > Source: RoFormer, section 3.2, in the half-rotation layout of transformers' `modeling_modernbert.py`.
struct RotaryTable {
    private let cosines: Tensor
    private let sines: Tensor

    /// Computes the tables.
    ///
    /// - Parameters:
    ///   - rope: The base and scale of the angles.
    ///   - width: The head width, even.
    ///   - positions: float32, `[tokens]`.
    ///   - dtype: The dtype of the hidden states.
    init(_ rope: RotaryParameters, width: Int, positions: Tensor, dtype: DType) {
        // In float64, then rounded once: an exponential taken in float32 would turn far positions visibly.
        let exponents = Tensor.arange(0..<(width / 2), .float64) * (-2 / Double(width))
        let base = Tensor.full([], rope.theta, .float64).log()
        let frequencies = (exponents * base).exp().to(.float32, positions.device)
        let half = (positions / rope.positionScale).reshaped(-1, 1, 1) * frequencies
        let angles = Tensor.concatenate([half, half], along: 2)
        cosines = angles.cosine().to(dtype).to(.float32)
        sines = angles.sine().to(dtype).to(.float32)
    }

    /// Rotates `[tokens, heads, width]`, keeping its dtype.
    func rotate(_ xTHK: Tensor) -> Tensor {
        let x = xTHK.to(.float32)
        let halves = x.split(into: 2, along: 2)
        let turned = Tensor.concatenate([-halves[1], halves[0]], along: 2)
        return (x * cosines + turned * sines).to(xTHK.dtype)
    }

    /// Cosines and sines `[positions, width / 2]`, each angle once.
    var halves: (cosines: Tensor, sines: Tensor) {
        let half = { (table: Tensor) in
            table.narrowed(along: 2, from: 0, count: table.size(2) / 2).reshaped(table.size(0), -1).contiguous()
        }
        return (half(cosines), half(sines))
    }
}
