/* Two pictures, one over the other, with a line between them that is dragged: before on the left, after on the right.
   window.usduSlider(place, pictures) -> {root, view, close}: fills the element `place`, which has a size of its own.
   pictures: {before, after}: addresses; fit: how `before` fills the shape of `after` (CSS object-fit);
   words: {before, after, help}: what is written over the pictures; view: another slider's, to go on from where it was.
   Both pictures move and grow together. */
(() => {
    'use strict';
    const NEAR = 28, STEP = 1.25, MOST = 16;  // px beside the line that catch it; zoom a key; device px a picture's px

    const made = (parent, kind, name, text = '') => {
        const node = document.createElement(kind);
        node.className = `usdu-slider-${name}`;
        node.textContent = text;
        parent.append(node);
        return node;
    };

    window.usduSlider = (place, {before, after, fit = 'fill', words = {}, view: seen}) => {
        const root = made(place, 'div', 'root');
        Object.assign(root, {tabIndex: 0, title: words.help || ''});
        const label = [words.before || 'before', words.after || 'after'];
        const said = {role: 'slider', 'aria-label': label.join(' | '), 'aria-valuemin': 0, 'aria-valuemax': 100};
        for (const [name, value] of Object.entries(said)) root.setAttribute(name, value);
        const over = made(root, 'img', 'after'), clip = made(root, 'div', 'clip'), under = made(clip, 'img', 'before');
        const line = made(root, 'div', 'line'), zoomed = made(root, 'span', 'zoom');
        made(root, 'span', 'left', label[0]);
        made(root, 'span', 'right', label[1]);
        for (const picture of [over, under]) Object.assign(picture, {draggable: false, alt: ''});
        under.style.objectFit = fit;

        const size = () => [over.naturalWidth || 1, over.naturalHeight || 1];
        const view = {scale: 1, x: 0, y: 0, at: 0.5, whole: true, ...seen};  // scale: CSS px a picture's px; at: 0 left to 1 right
        let box = {width: 0, height: 0}, frame = 0;
        const smallest = () => Math.min(box.width / size()[0], box.height / size()[1], 1 / devicePixelRatio);
        const within = (offset, room, length) =>
            length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, offset));

        const draw = () => {
            frame = 0;
            if (!over.naturalWidth || !box.width) return;
            const [width, height] = size();
            if (view.whole) view.scale = smallest();
            view.x = within(view.x, box.width, width * view.scale);
            view.y = within(view.y, box.height, height * view.scale);
            const where = {
                left: `${view.x}px`, top: `${view.y}px`, width: `${width * view.scale}px`,
                height: `${height * view.scale}px`,
            };
            Object.assign(over.style, where);
            Object.assign(under.style, where);
            clip.style.width = line.style.left = `${view.at * box.width}px`;
            zoomed.textContent = `${Math.round(view.scale * devicePixelRatio * 100)} %`;
            root.style.touchAction = view.whole ? 'pan-y' : 'none';
            root.setAttribute('aria-valuenow', Math.round(view.at * 100));
        };
        const soon = () => { frame = frame || requestAnimationFrame(draw); };
        const slide = (at) => { view.at = Math.min(1, Math.max(0, at)); soon(); };
        const pan = (x, y) => { view.x += x; view.y += y; soon(); };
        const zoom = (scale, x = box.width / 2, y = box.height / 2) => {
            const least = smallest(), now = Math.min(Math.max(scale, least), MOST / devicePixelRatio);
            view.x = x - (x - view.x) * now / view.scale;
            view.y = y - (y - view.y) * now / view.scale;
            Object.assign(view, {scale: now, whole: now <= least * 1.001});
            soon();
        };

        const fingers = new Map();
        let dragged = '';
        const point = (event) => {
            const edge = root.getBoundingClientRect();
            return [event.clientX - edge.left, event.clientY - edge.top];
        };
        const spread = () => {
            const [[a, b], [c, d]] = [...fingers.values()];
            return [Math.hypot(a - c, b - d), (a + c) / 2, (b + d) / 2];
        };
        const heard = {
            pointerdown(event) {
                if (event.button > 0) return;
                root.setPointerCapture(event.pointerId);
                const [x, y] = point(event);
                fingers.set(event.pointerId, [x, y]);
                dragged = fingers.size > 1 ? 'both' : view.whole || Math.abs(x - view.at * box.width) < NEAR ? 'line' : 'view';
                if (dragged === 'line') slide(x / box.width);
            },
            pointermove(event) {
                const old = fingers.get(event.pointerId);
                if (!old) return;
                const [x, y] = point(event), before = fingers.size === 2 ? spread() : null;
                fingers.set(event.pointerId, [x, y]);
                if (before) {
                    const [length, middleX, middleY] = spread();
                    pan(middleX - before[1], middleY - before[2]);
                    zoom(view.scale * length / (before[0] || 1), middleX, middleY);
                } else if (dragged === 'line') slide(x / box.width);
                else if (dragged === 'view') pan(x - old[0], y - old[1]);
            },
            pointerup(event) { fingers.delete(event.pointerId); dragged = ''; },
            pointercancel(event) { heard.pointerup(event); },
            dblclick(event) { zoom(view.whole ? 1 / devicePixelRatio : 0, ...point(event)); },
            wheel(event) {  // the page scrolls on until somebody has clicked the pictures
                if (!event.ctrlKey && document.activeElement !== root) return;
                event.preventDefault();
                zoom(view.scale * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...point(event));
            },
            keydown(event) {
                if (event.ctrlKey || event.metaKey || event.altKey) return;
                const [x, y] = [box.width / 10, box.height / 10];
                const pans = {ArrowLeft: [x, 0], ArrowRight: [-x, 0], ArrowUp: [0, y], ArrowDown: [0, -y]};
                const acts = {
                    ArrowLeft: () => slide(view.at - 0.02), ArrowRight: () => slide(view.at + 0.02),
                    PageUp: () => slide(view.at - 0.1), PageDown: () => slide(view.at + 0.1),
                    Home: () => slide(0), End: () => slide(1), '+': () => zoom(view.scale * STEP),
                    '=': () => zoom(view.scale * STEP), '-': () => zoom(view.scale / STEP), 0: () => zoom(0),
                    1: () => zoom(1 / devicePixelRatio),
                };
                const panned = (event.shiftKey || event.key.endsWith('Up') || event.key.endsWith('Down')) && pans[event.key];
                const act = panned ? () => pan(...panned) : acts[event.key];
                if (!act) return;
                event.preventDefault();
                event.stopPropagation();  // the gallery around it would turn to another picture
                act();
            },
        };
        for (const [name, act] of Object.entries(heard)) root.addEventListener(name, act, {passive: false});
        const grown = new ResizeObserver(() => {
            box = {width: root.clientWidth, height: root.clientHeight};
            soon();
        });
        grown.observe(root);
        over.onload = under.onload = soon;
        under.src = before;
        over.src = after;
        return {root, view, close() { grown.disconnect(); cancelAnimationFrame(frame); root.remove(); }};
    };
})();
