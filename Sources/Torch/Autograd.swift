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

    /// Sets whether operations on this leaf tensor are recorded; all copies of the value share the setting.
    ///
    /// - Parameter required: Whether ``backward()`` computes a gradient for it.
    public func setRequiresGradient(_ required: Bool) {
        _ = succeeded(ct_autograd_set_requires_gradient(handle, required), "setRequiresGradient", [self])
    }

    /// Computes the gradients of this scalar and adds them to ``gradient`` of every leaf tensor it depends on.
    public func backward() {
        _ = succeeded(ct_autograd_backward(handle, nil), "backward", [self])
    }

    /// Adds to ``gradient`` of every leaf tensor this one depends on, given the gradient of this one.
    ///
    /// - Parameter gradient: The gradient with respect to this tensor, of its shape.
    package func backward(_ gradient: Tensor) {
        _ = succeeded(ct_autograd_backward(handle, gradient.handle), "backward", [self, gradient])
    }

    /// The accumulated gradient, of this tensor's shape, dtype and device; nil before the first ``backward()``.
    public var gradient: Tensor? {
        var result: OpaquePointer?
        guard succeeded(ct_autograd_gradient(handle, &result), "gradient", [self]) else { return nil }
        return result.map(Tensor.init(owning:))
    }

    /// Sets ``gradient`` to nil.
    public func clearGradient() {
        _ = succeeded(ct_autograd_clear_gradient(handle), "clearGradient", [self])
    }

    /// A tensor over the same storage that is detached from the autograd graph.
    public func detached() -> Tensor {
        makeTensor("detached", [self]) { ct_autograd_detached(handle, $0) }
    }
}
