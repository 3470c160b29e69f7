import Torch

/// The cosines and sines of positions 0, 1, 2, …, each angle once; see ``RotaryTable``.
struct RotaryHalfTable {
    /// `[positions, width / 2]`, float32.
    let cosines: Tensor
    /// As `cosines`.
    let sines: Tensor

    /// Computes the tables.
    init(_ rope: RotaryParameters, width: Int, positions: Int, dtype: DType) {
        let table = RotaryTable(
            rope,
            width: width,
            positions: Tensor((0..<positions).map(Float.init)),
            dtype: dtype
        )
        (cosines, sines) = table.halves
    }

    /// How many positions the tables have.
    var positionCount: Int { cosines.size(0) }
}
