/* The plan on the picture: each tile over the picture of the img2img tab, while the panel's box for it is ticked.
   Its data is JSON beside the live line (tiles.py). Over a finished picture a click puts a tile's number into "Redo these
   tiles" or takes it out; over any other it picks the tile that is tried first. Shift and click begins the tile's line in
   "Per-tile prompts". The keyboard does the same.
   The button beside the box tries that tile, or the one with the most detail: it presses Generate with "Tile to try" set.
   words: {redo, choose, prompt, window, left, many, try, chosen}. -> {look, on, sent, trying}: look when the page may have
   changed; sent: what the server must see of the picture to know which tiles are left out; trying: whether Generate is
   pressed for one tile. */
window.usduTiles = (root, words) => {
    'use strict';
    const SVG = 'http://www.w3.org/2000/svg';
    const MOST_SENT = 1536, MOST_OF_MASK = 768;  // px a side of the picture and of the mask that are sent
    const ABOVE_CANVASES = 16;  // theirs, in gradio 3, are 11 to 15, its buttons' 20
    const PLACES = ['#img2img_image', '#img2img_sketch', '#img2maskimg', '#inpaint_sketch', '#img_inpaint_base'];
    const find = (css) => root.querySelector(css);
    const on = () => window.opts?.usdu_tiles !== false && find('#usdu_show_tiles input')?.checked
        && !!find('#usdu_panel')?.offsetParent;

    const sizeOf = (picture) => [picture.naturalWidth ?? picture.width, picture.naturalHeight ?? picture.height];
    const pictureShown = () => {
        for (const block of PLACES.map(find)) {
            if (!block?.offsetParent) continue;
            // Where gradio 3 lets people draw, the picture is on a canvas, and an `img` of another size is hidden.
            for (const picture of [...block.querySelectorAll('canvas[key="drawing"]'), ...block.querySelectorAll('img')])
                if (sizeOf(picture)[0] > 1 && picture.getBoundingClientRect().width > 1) return {block, picture};
        }
        return {};
    };
    const fieldOf = (name) => find(`#usdu_${name} textarea, #usdu_${name} input`);
    const write = (field, text) => {
        field.value = text;
        field.dispatchEvent(new Event('input', {bubbles: true}));
        window.ultimateupscaleTouched = Date.now();
    };

    // Which tiles are chosen: "3, 7-9" is a set of numbers, "all" none.
    const chosen = () => {
        const found = new Set();
        for (const word of (fieldOf('redo_tiles')?.value || '').split(/[\s,]+/)) {
            const [first, last = first] = word.split('-').map(Number);
            for (let n = first; first && n <= Math.min(last, first + 2000); n++) found.add(n);
        }
        return found;
    };
    const choose = (number) => {
        const numbers = chosen(), spans = [];
        if (!numbers.delete(number)) numbers.add(number);
        for (const n of [...numbers].sort((a, b) => a - b)) {
            const last = spans[spans.length - 1];
            if (last && last[1] === n - 1) last[1] = n; else spans.push([n, n]);
        }
        write(fieldOf('redo_tiles'), spans.map(([a, b]) => a === b ? a : `${a}-${b}`).join(', ') || 'all');
    };
    const prompt = (number) => {
        const field = fieldOf('tile_prompts'), head = find('#usdu_advanced .label-wrap');
        if (!field.offsetParent && head) head.click();
        const lines = field.value ? field.value.split('\n') : [];
        let at = lines.findIndex((line) => line.match(/^\s*(\d+)\s*:/)?.[1] === String(number));
        if (at < 0) at = lines.push(`${number}: `) - 1;
        write(field, lines.join('\n'));
        const end = lines.slice(0, at + 1).join('\n').length;
        setTimeout(() => {
            field.scrollIntoView({block: 'center'});
            field.focus();
            field.setSelectionRange(end, end);
        }, 100);
    };

    // {block, picture, layer, svg, outline, told, text, data, by, at, byKeys, watch}. at: the tile that is looked at, 0
    // for none; byKeys: whether the keyboard chose it.
    let drawn = null;
    let picked = 0, left = null;  // left: the tile that the keyboard was at when the tiles were closed
    const made = (parent, kind, name, values = {}) => {
        const node = document.createElementNS(SVG, kind);
        if (name) node.setAttribute('class', name);
        for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
        parent.append(node);
        return node;
    };
    const close = () => {
        if (!drawn) return;
        if (document.activeElement === drawn.svg) left = drawn.at;
        drawn.watch.forEach((watch) => watch.disconnect());
        drawn.layer.remove();
        drawn = null;
    };
    // Over the picture itself, not over the bars beside it, wherever the host has moved or zoomed it to.
    const place = () => {
        if (!drawn?.layer.isConnected) return;
        const {block, picture, layer, data} = drawn;
        const box = picture.getBoundingClientRect(), around = block.getBoundingClientRect();
        const zoom = around.width / block.offsetWidth || 1;  // the host's, of all that is in the block
        const [across, down] = sizeOf(picture), fit = getComputedStyle(picture).objectFit;
        const scales = [box.width / across, box.height / down];
        const scale = fit === 'contain' || fit === 'scale-down' ? Math.min(...scales) : 0;
        const width = scale ? across * scale : box.width;
        const height = scale ? down * scale : box.height;
        const [x, y, w, h] = data.at;
        const where = {
            left: (box.left - around.left + (box.width - width) / 2 + x * width) / zoom - block.clientLeft,
            top: (box.top - around.top + (box.height - height) / 2 + y * height) / zoom - block.clientTop,
            width: w * width / zoom, height: h * height / zoom,
        };
        for (const [side, length] of Object.entries(where)) layer.style[side] = `${length}px`;
        // Numbers are as large as the smallest tile has room for, whatever the picture's scale.
        const unit = data.size[0] / Math.max(1, where.width), first = data.tiles[0];
        const room = first ? Math.min(first[3] / 3.2, first[4] / 2.4) : 0;
        layer.style.setProperty('--usdu-letter', `${Math.min(16 * unit, room)}px`);
        layer.classList.toggle('usdu-tiles-small', room / unit < 7);
    };
    const help = () => `${drawn.data.redo ? words.redo : words.choose} ${words.prompt}`;
    const show = (number) => {
        const {by, outline, told, data} = drawn;
        by.get(drawn.at)?.tile.classList.remove('usdu-at');
        const found = by.get(number);
        drawn.at = found ? number : 0;
        outline.classList.toggle('usdu-seen', !!found);
        told.textContent = data.tiles.length ? help() : words.many;
        if (!found) return;
        found.tile.classList.add('usdu-at');
        const [x, y, w, h] = found.window;
        for (const [name, value] of Object.entries({x, y, width: w, height: h})) outline.setAttribute(name, value);
        const parts = [`${number}: ${found.size.join('×')}, ${words.window} ${w}×${h} px`];
        if (found.seconds >= 0.05) parts.push(`${found.seconds.toFixed(1)} s`);
        if (!found.isDrawn) parts.push(words.left);
        told.textContent = parts.join(' · ');
    };
    const act = (number, toPrompt) => {
        const {by, data} = drawn;
        if (!by.has(number)) return;
        if (toPrompt) return prompt(number);
        picked = picked === number && !data.redo ? 0 : number;
        if (data.redo) choose(number);
        if (data.redo && !chosen().has(number)) picked = 0;
        look();
    };
    const listen = (svg) => {
        const numberAt = (event) => Number(event.target.closest?.('[data-tile]')?.dataset.tile) || 0;
        svg.addEventListener('pointermove', (event) => {
            drawn.byKeys = false;
            show(numberAt(event));
        });
        // A page that moves under the pointer takes nothing from the keyboard.
        svg.addEventListener('pointerleave', () => { if (drawn && !drawn.byKeys) show(0); });
        svg.addEventListener('click', (event) => {
            event.stopPropagation();
            event.preventDefault();
            act(numberAt(event), event.shiftKey);
        });
        // The host's own drawing and moving tools hear nothing while the tiles are there.
        for (const name of ['pointerdown', 'mousedown', 'touchstart'])
            svg.addEventListener(name, (event) => event.stopPropagation(), {passive: true});
        svg.addEventListener('blur', () => {
            if (!drawn) return;
            drawn.byKeys = false;
            show(0);
        });
        svg.addEventListener('keydown', (event) => {
            const {at, data} = drawn;
            const columns = data.tiles.filter((tile) => tile[2] === data.tiles[0]?.[2]).length || 1;
            const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
            if (step) {
                drawn.byKeys = true;
                show(at ? Math.min(data.tiles.length, Math.max(1, at + step)) : 1);
            } else if (event.key === 'Enter' || event.key === ' ') act(at, event.shiftKey);
            else return;
            event.preventDefault();
            event.stopPropagation();
        });
    };
    // The layer without tiles. It stays as long as the picture's place does.
    const begin = (block) => {
        close();
        const layer = document.createElement('div'), told = document.createElement('p');
        layer.className = 'usdu-tiles';
        told.className = 'usdu-tiles-told';
        const svg = made(layer, 'svg', '', {preserveAspectRatio: 'none', tabindex: 0, role: 'application'});
        const outline = made(svg, 'rect', 'usdu-window');
        layer.append(told);
        block.append(layer);
        drawn = {block, layer, svg, outline, told, by: new Map(), at: 0, byKeys: false, watch: []};
        listen(svg);
    };
    // What a new plan changes. Tiles of the same number stay the same elements: neither the keyboard's place nor a click
    // that has begun is lost.
    const fill = (picture, text) => {
        const {block, layer, svg, outline, by, watch} = drawn, data = JSON.parse(text), numbers = new Set();
        svg.setAttribute('viewBox', `0 0 ${data.size.join(' ')}`);
        for (const [number, x, y, w, h, isDrawn, ...more] of data.tiles) {
            const tile = by.get(number)?.tile || made(svg, 'g', '', {'data-tile': number});
            const [rect, label, known] = tile.children.length ? tile.children : [made(tile, 'rect'), made(tile, 'text')];
            tile.classList.toggle('usdu-left-out', !isDrawn);
            for (const [name, value] of Object.entries({x, y, width: w, height: h})) rect.setAttribute(name, value);
            const middle = {x: x + w / 2, y: y + h / 2};
            for (const [name, value] of Object.entries(middle)) label.setAttribute(name, value);
            label.textContent = number;
            known?.remove();
            const seconds = more[4];
            if (seconds >= 0.05) {
                const said = made(tile, 'text', 'usdu-seconds', {...middle, dy: '1.3em'});
                said.textContent = `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
            }
            by.set(number, {tile, window: more.slice(0, 4), seconds, size: [w, h], isDrawn});
            numbers.add(number);
        }
        for (const [number, {tile}] of by) {
            if (numbers.has(number)) continue;
            tile.remove();
            by.delete(number);
        }
        svg.append(outline);
        if (drawn.picture !== picture) {
            watch.splice(0).forEach((one) => one.disconnect());
            watch.push(new ResizeObserver(place), new MutationObserver(place));
            watch[0].observe(picture);
            watch[0].observe(block);
            watch[1].observe(picture, {attributes: true, attributeFilter: ['style', 'class', 'src']});
        }
        Object.assign(drawn, {picture, text, data});
        layer.style.zIndex = picture.matches('canvas') ? ABOVE_CANVASES : '';
        svg.setAttribute('aria-label', help());
        if (left !== null && document.activeElement === document.body) {
            svg.focus({preventScroll: true});
            Object.assign(drawn, {at: left, byKeys: true});
        }
        left = null;
        show(drawn.at);
        place();
    };

    // The mask that is drawn, or the one that is uploaded: [where it is, whether it is uploaded].
    const mask = () => {
        const [drawnOn, sentTo] = ['#img2maskimg', '#img_inpaint_mask'].map(find);
        const strokes = drawnOn?.offsetParent && drawnOn.querySelector('canvas[key="mask"], canvas.forge-drawing-canvas');
        const file = sentTo?.offsetParent && [...sentTo.querySelectorAll('img')].find((one) => one.naturalWidth > 1);
        return strokes ? [strokes, false] : file ? [file, true] : [];
    };
    const address = (source, kind, most) => {
        const [width, height] = sizeOf(source), canvas = document.createElement('canvas');
        const scale = Math.min(1, most / Math.max(width, height));
        Object.assign(canvas, {width: Math.round(width * scale) || 1, height: Math.round(height * scale) || 1});
        canvas.getContext('2d').drawImage(source, 0, 0, canvas.width, canvas.height);
        return [canvas.toDataURL(kind, 0.98), scale];
    };
    const sent = () => {
        const {picture} = pictureShown(), [painted, uploaded] = mask(), found = {};
        if (!on() || !picture) return found;
        if (Number(find('#usdu_skip_flat input[type=number]')?.value) > 0)
            [found.picture] = address(picture, 'image/jpeg', MOST_SENT);
        if (painted) {
            const modes = [...root.querySelectorAll('#img2img_mask_mode input[type=radio]')];
            const [png, scale] = address(painted, 'image/png', MOST_OF_MASK);
            const blur = scale * Number(find('#img2img_mask_blur input[type=number]')?.value || 0);
            Object.assign(found, {mask: png, uploaded, blur, invert: modes.findIndex((mode) => mode.checked) === 1});
        }
        return found;
    };

    let trying = false;
    const tryOne = () => {
        const field = fieldOf('try_tile'), generate = find('#img2img_generate');
        if (!field || !generate || trying) return;
        trying = true;
        write(field, String(picked || 'auto'));
        // The host takes its values when Generate is pressed; gradio needs a moment to have this one among them.
        setTimeout(() => generate.click(), 200);
        setTimeout(() => { write(field, 'none'); trying = false; }, 700);
    };
    root.addEventListener('click', (event) => { if (event.target.closest?.('#usdu_try')) tryOne(); }, true);
    // Neither a mask nor what it means is among what the page notices by itself.
    const OF_MASK = '#img2maskimg, #img_inpaint_mask, #img2img_mask_mode, #img2img_mask_blur';
    const touched = ({target}) => {
        if (on() && target.closest?.(OF_MASK) && !target.closest('.usdu-tiles')) window.ultimateupscaleTouched = Date.now();
    };
    for (const name of ['click', 'change', 'input', 'load']) root.addEventListener(name, touched, true);

    let result = null;
    const look = () => {
        const row = find('#usdu_show_tiles');
        if (row && window.opts?.usdu_tiles === false) row.style.display = 'none';
        const button = find('#usdu_try'), label = picked ? `${words.chosen} ${picked}` : words.try;
        if (button && button.textContent.trim() !== label) button.textContent = label;
        const text = on() && find('.usdu_tiles_data')?.textContent;
        const {block, picture} = text ? pictureShown() : {};
        if (!picture) {
            picked = 0;
            return close();
        }
        const seen = [...root.querySelectorAll('#img2img_gallery img')].find((one) => !one.closest('.livePreview'));
        const first = seen?.src || '';
        if (result !== first && result !== null) window.ultimateupscaleTouched = Date.now();  // it has new seconds
        result = first;
        if (drawn?.block !== block || !drawn.layer.isConnected) begin(block);
        if (drawn.text === text && drawn.picture === picture) place(); else fill(picture, text);
        if (picked > drawn.data.count) picked = 0;
        const numbers = drawn.data.redo ? chosen() : new Set([picked]);
        for (const [number, {tile}] of drawn.by) tile.classList.toggle('usdu-chosen', numbers.has(number));
    };
    return {look, on, sent, trying: () => trying};
};
