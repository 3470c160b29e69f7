import CTorch

extension Tensor {
    /// The same elements in another shape; one size may be -1, which means "what is left".
    public func reshaped(_ shape: Int...) -> Tensor { reshaped(to: shape) }

    /// The same elements in another shape; one size may be -1, which means "what is left".
    public func reshaped(to shape: [Int]) -> Tensor {
        makeTensor("reshaped", [self]) { ct_shape_reshape(handle, shape.int64, Int32(shape.count), $0) }
    }

    /// A view with two dimensions exchanged.
    public func transposed(_ first: Int, _ second: Int) -> Tensor {
        makeTensor("transposed", [self]) { ct_shape_transpose(handle, Int64(first), Int64(second), $0) }
    }

    /// A view of part of one dimension.
    public func narrowed(along dimension: Int, from start: Int, count: Int) -> Tensor {
        makeTensor("narrowed", [self]) {
            ct_shape_narrow(handle, Int64(dimension), Int64(start), Int64(count), $0)
        }
    }

    /// Equal views that follow one another along a dimension, whose size `count` must divide.
    public func split(into count: Int, along dimension: Int) -> [Tensor] {
        let width = size(dimension) / count
        return (0..<count).map { narrowed(along: dimension, from: $0 * width, count: width) }
    }

    /// Tensors end to end along one dimension.
    public static func concatenate(_ tensors: [Tensor], along dimension: Int = 0) -> Tensor {
        withExtendedLifetime(tensors) {
            makeTensor("concatenate", tensors) {
                ct_shape_concatenate(tensors.map(\.handle), Int32(tensors.count), Int64(dimension), $0)
            }
        }
    }

    /// The slices of one dimension at the indices in an int64 tensor `[n]`, as `torch.index_select`.
    public func selecting(_ indices: Tensor, along dimension: Int = 0) -> Tensor {
        makeTensor("selecting", [self, indices]) {
            ct_shape_index_select(handle, Int64(dimension), indices.handle, $0)
        }
    }

    /// The elements of one dimension at int64 indices, as `torch.gather`.
    ///
    /// - Parameters:
    ///   - indices: int64, of as many dimensions as this tensor.
    ///   - dimension: The dimension that the indices are of.
    /// - Returns: The shape of the indices.
    package func gathered(_ indices: Tensor, along dimension: Int) -> Tensor {
        makeTensor("gathered", [self, indices]) { ct_shape_gather(handle, Int64(dimension), indices.handle, $0) }
    }

    /// Overwrites some rows of the storage that all copies of this value share.
    package func assignRows(_ rows: Tensor, at indices: Tensor) {
        let status = ct_shape_assign_rows(handle, indices.handle, rows.handle)
        _ = succeeded(status, "assignRows", [self, indices, rows])
    }

    /// The element-wise maximum of each of some ranges of rows.
    ///
    /// - Parameter segments: Rows of this tensor, `[rows, width]`.
    /// - Returns: `[segments.count, width]`; zeros for an empty range. The gradient of a maximum goes to the first row that
    ///   has it; on other devices than the CPU, rows that share it share the gradient.
    package func max(ofRows segments: [Range<Int>]) -> Tensor {
        makeTensor("max(ofRows:)", [self]) {
            ct_shape_segment_max(
                handle,
                segments.map(\.lowerBound).int64,
                segments.map(\.upperBound).int64,
                Int64(segments.count),
                $0
            )
        }
    }

    /// Sums of rows by group: row `i` of this tensor is added to row `groups[i]` of the result.
    ///
    /// - Parameters:
    ///   - groups: int64, `[size(0)]`.
    ///   - count: The number of groups, rows of the result.
    /// - Returns: `[count, …]`; zero for groups without rows.
    package func sum(byGroups groups: Tensor, count: Int) -> Tensor {
        makeTensor("sum(byGroups:)", [self, groups]) { ct_shape_index_add(handle, groups.handle, Int64(count), $0) }
    }
}
