import CTorch

/// Runs `body` without recording operations for differentiation.
///
/// libtorch keeps this mode per thread, hence the synchronous closure.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = ct_autograd_is_enabled()
    ct_autograd_set_enabled(false)
    defer { ct_autograd_set_enabled(before) }
    return try body()
}

extension Tensor {
    /// Whether operations on this tensor are recorded for ``backward()``.
    public var requiresGradient: Bool { handle.map { ct_autograd_requires_gradient($0) } ?? false }

    /// Starts or stops recording operations on this leaf tensor; all copies of the value share the setting.
    public func setRequiresGradient(_ required: Bool) {
        _ = succeeded(ct_autograd_set_requires_gradient(handle, required), "setRequiresGradient", [self])
    }

    /// Adds the derivatives of this scalar to ``gradient`` of every leaf tensor it depends on.
    public func backward() {
        _ = succeeded(ct_autograd_backward(handle), "backward", [self])
    }

    /// The accumulated derivative, in the shape of this tensor; nil when there is none.
    public var gradient: Tensor? {
        var result: OpaquePointer?
        guard succeeded(ct_autograd_gradient(handle, &result), "gradient", [self]) else { return nil }
        return result.map(Tensor.init(owning:))
    }

    /// Forgets ``gradient``.
    public func clearGradient() {
        _ = succeeded(ct_autograd_clear_gradient(handle), "clearGradient", [self])
    }

    /// The same values, cut off from the recorded operations.
    public func detached() -> Tensor {
        makeTensor("detached", [self]) { ct_autograd_detached(handle, $0) }
    }
}
