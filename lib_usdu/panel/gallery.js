/* Before and after in the webui's gallery: a button over the result that puts the slider there.
   The page remembers the picture that stood in the img2img tab when Generate was pressed, and which results came of it.
   URL alone is the document's address in the event attribute that runs this.
   words: {before, after, help, button}. -> {look}: call it when the page may have changed. */
window.usduGallery = (root, words) => {
    'use strict';
    const MOST_KEPT = 24, LARGEST = 4096;  // inputs remembered; px a side of one
    const inputs = new Map();  // address of a result -> {url, fit}, url a promise
    let running = null, old = new Set(), on = false, shown = null, place = null, button = null, view = null;

    const find = (css) => root.querySelector(css);
    const results = () => [...root.querySelectorAll('#img2img_gallery img')]
        .filter((picture) => picture.src && !picture.closest('.livePreview, .usdu-compare'));
    const tabs = ['#mode_img2img > div[style*="display: block"] img', '#img2img_image img'];
    const source = () => tabs.map(find).find((picture) => picture?.naturalWidth);

    const kept = (picture) => new Promise((done) => {
        const {naturalWidth: width, naturalHeight: height} = picture, canvas = document.createElement('canvas');
        const scale = Math.min(1, LARGEST / Math.max(width, height));
        Object.assign(canvas, {width: Math.round(width * scale), height: Math.round(height * scale)});
        canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => done(window.URL.createObjectURL(blob)), 'image/webp', 0.95);
    });
    const started = () => {
        const picture = find('#usdu_panel')?.offsetParent && source();
        const folder = typeof get_tab_index === 'function' && find('#mode_img2img') && get_tab_index('mode_img2img') === 5;
        const modes = [...root.querySelectorAll('#resize_mode input[type=radio]')];
        const fit = ['fill', 'cover', 'contain'][modes.findIndex((choice) => choice.checked)] || 'fill';
        old = new Set(results().map((result) => result.src));
        running = picture && !folder && !window.ultimateupscaleTiles?.trying() ? {url: kept(picture), fit} : null;
    };
    root.addEventListener('click', (event) => { if (event.target.closest?.('#img2img_generate')) started(); }, true);

    const remember = () => {
        // All that stands beside a new result is of its run, also a sheet that is the same file as in the run before.
        const isNew = running && results().some((result) => !old.has(result.src));
        for (const {src} of isNew ? results() : []) inputs.set(src, running);
        for (const [src, input] of [...inputs].slice(0, Math.max(0, inputs.size - MOST_KEPT))) {
            inputs.delete(src);
            if (![...inputs.values()].includes(input)) input.url.then((url) => window.URL.revokeObjectURL(url));
        }
    };
    const close = () => {
        view = shown?.slider?.view || view;
        shown?.slider?.close();
        shown = null;
        place?.remove();
    };
    const open = async (src, input) => {
        close();
        const now = shown = {src};
        const before = await input.url;
        if (shown !== now) return;
        const gallery = find('#img2img_gallery'), strip = gallery.querySelector('.thumbnails')?.offsetHeight || 0;
        place = document.createElement('div');
        place.className = 'usdu-compare';
        place.style.bottom = `${strip}px`;
        gallery.append(place);
        now.slider = window.usduSlider(place, {before, after: src, fit: input.fit, words, view});
        // A result that comes while a person writes takes no focus from them.
        if ([document.body, button].includes(document.activeElement)) now.slider.root.focus({preventScroll: true});
    };
    const look = () => {
        remember();
        const gallery = find('#img2img_gallery'), large = gallery?.querySelector('img[data-testid=detailed-image]');
        const input = large && window.opts?.usdu_slider !== false && inputs.get(large.src);
        // Beside results a gallery has sheets of other sizes; the result stands first.
        const first = input && results().find((result) => inputs.get(result.src) === input && result !== large);
        const fits = !first || large.naturalWidth === first.naturalWidth && large.naturalHeight === first.naturalHeight;
        if (!input || !fits) {
            button?.remove();
            if (shown) close();
            return;
        }
        if (!button) {
            button = document.createElement('button');
            Object.assign(button, {className: 'usdu-compare-button', type: 'button', textContent: words.button});
            button.addEventListener('click', () => {
                on = !on;
                if (on) look(); else close();
                view = null;
                press();
            });
        }
        press();
        if (!button.isConnected) gallery.append(button);
        if (on && (shown?.src !== large.src || shown.slider && !shown.slider.root.isConnected)) open(large.src, input);
    };
    const press = () => button.setAttribute('aria-pressed', on);
    return {look};
};
